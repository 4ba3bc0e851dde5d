from setuptools import find_packages, setup

PACKAGE = "giga_grasping"

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
    description="Ranked grasps to motion to a lifted object: planner, executor and safety nodes.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "embedded_planner_node = giga_grasping.embedded_planner_node:main",
            "executor_node = giga_grasping.executor_node:main",
            "safety_node = giga_grasping.safety_node:main",
        ],
    },
)
