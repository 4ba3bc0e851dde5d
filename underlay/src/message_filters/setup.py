from setuptools import find_packages, setup

package_name = "message_filters"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + package_name]),
        ("share/" + package_name, ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="The GIGA grasping maintainers",
    maintainer_email="maintainers@giga-grasping.invalid",
    description="Stand-in for message_filters: Subscriber and the two time synchronizers.",
    license="Apache-2.0",
)
