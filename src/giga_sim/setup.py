from setuptools import find_packages, setup

PACKAGE = "giga_sim"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="The GIGA grasping maintainers",
    maintainer_email="maintainers@giga-grasping.invalid",
    description="PyBullet: objects, scenes, hand trials, data generation, the clutter benchmark, and a mock Panda.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sim_node = giga_sim.sim_node:main",
        ],
    },
)
