"""Depth images through Fast DDS's shared memory.

A message larger than the sender's shared memory segment (0.5 MB by default) goes through UDP instead, where a
best-effort reader loses most 640x480 float images (1.2 MB). Only the sender's segment counts.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEGMENT_BYTES = 16 * 1024 * 1024

_PROFILE = f"""<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>large_shared_memory</transport_id>
        <type>SHM</type>
        <segment_size>{SEGMENT_BYTES}</segment_size>
        <maxMessageSize>{SEGMENT_BYTES // 4}</maxMessageSize>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="large_messages" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>large_shared_memory</transport_id>
          <transport_id>udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""

# Whoever sets one of these has an own opinion about transports.
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")


@contextmanager
def large_messages() -> Iterator[None]:
    """Nodes created within are given a segment that holds several images; other middlewares ignore it."""
    if any(os.environ.get(name) for name in _PROFILE_VARIABLES):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="giga_sim_") as folder:
        profile = Path(folder) / "fastdds.xml"
        profile.write_text(_PROFILE, encoding="utf-8")
        os.environ[_PROFILE_VARIABLES[0]] = str(profile)
        try:
            yield
        finally:
            del os.environ[_PROFILE_VARIABLES[0]]
