from setuptools import find_packages, setup

PACKAGE = "giga_perception"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(),
    package_data={"giga_perception": ["weights/*.safetensors", "weights/*.md"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The GIGA grasping maintainers",
    maintainer_email="maintainers@giga-grasping.invalid",
    description="Depth images to ranked 6-DoF grasps and a scene mesh: TSDF, the GIGA network, training.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "perception_node = giga_perception.perception_node:main",
        ],
    },
)
