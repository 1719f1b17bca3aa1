"""The network that a container runs in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from .limits import check_limits, shown
from .option_kinds import Flag, OfType, Resource
from .options import Options, option
from .problems import Problems

__all__ = ["Networking", "grant_network_interfaces", "vpc_members"]

# https://docs.aws.amazon.com/sagemaker/latest/dg/process-vpc.html
_NETWORK_ACTIONS = (
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)


@dataclass(frozen=True, kw_only=True)
class Networking(Options):
    """The network that a job's or an endpoint's containers run in.

    Attributes
    ----------
    vpc : ec2.IVpc, optional
        VPC that the containers reach the network through; S3, and what else they need, must be reachable
        from there. Defaults to a network of SageMaker's.
    vpc_subnets : ec2.SubnetSelection, optional
        Subnets of the VPC. Defaults to the private ones.
    security_groups : sequence of ec2.ISecurityGroup, optional
        Defaults to a new one in the VPC.
    enable_network_isolation : bool
        Let the container make no calls at all: SageMaker alone brings the data, and takes the results. A
        ``requirements.txt`` cannot be installed then; the source code of a training job comes as a channel
        called ``code``. Defaults to no.
    encrypt_inter_container_traffic : bool
        Encrypt what the hosts of a training job send to each other; it slows training down. Defaults to no.
    """

    vpc: ec2.IVpc | None = option(
        Resource(attribute="vpc_id", wanted="an ec2.IVpc such as ec2.Vpc.from_lookup(scope, id, vpc_id=...)")
    )
    vpc_subnets: ec2.SubnetSelection | None = option(
        OfType(type=ec2.SubnetSelection, wanted="an ec2.SubnetSelection(...)")
    )
    security_groups: Sequence[ec2.ISecurityGroup] = ()
    enable_network_isolation: bool = option(Flag("EnableNetworkIsolation"), False)
    encrypt_inter_container_traffic: bool = option(Flag("EnableInterContainerTrafficEncryption"), False)

    def check(self, problems: Problems, name: str) -> None:
        """Note what is wrong with the network."""
        super().check(problems, name)
        problems.check(
            self.vpc is not None or (self.vpc_subnets is None and not self.security_groups),
            f"{name}.vpc must be given with vpc_subnets and security_groups, got none",
        )
        groups = self.security_groups
        if not isinstance(groups, Sequence) or not all(hasattr(each, "security_group_id") for each in groups):
            problems.add(f"{name}.security_groups must be a list of ec2.ISecurityGroup, got {shown(groups)}")
        elif groups:
            check_limits(problems, f"{name}.security_groups", self.security_groups, "VpcSecurityGroupIds")

    def check_unused(self, problems: Problems, name: str, *unused: str) -> None:
        """Note settings that mean nothing to what runs there.

        Parameters
        ----------
        problems : Problems
            Gets the findings.
        name : str
            Name of the group.
        *unused : str
            The settings.
        """
        for setting in unused:
            problems.check(not getattr(self, setting), f"{name}.{setting} has no meaning here: leave it out")

    def bind(self, scope: Construct, role: iam.IRole) -> dict[str, Any]:
        """Make what the network needs, and write it as members of the request.

        Parameters
        ----------
        scope : Construct
            Gets a security group, if one is needed.
        role : iam.IRole
            Role of the container, which SageMaker makes the network interfaces in the name of.
        """
        members = self.members()
        if self.vpc is None:
            return members
        grant_network_interfaces(role)
        groups = self.security_groups or [ec2.SecurityGroup(scope, "SecurityGroup", vpc=self.vpc)]
        return members | vpc_members(self.vpc, self.vpc_subnets, groups)


def vpc_members(
    vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None, security_groups: Sequence[ec2.ISecurityGroup]
) -> dict[str, Any]:
    """Write a VPC as members of the request.

    Parameters
    ----------
    vpc : ec2.IVpc
        The VPC.
    subnets : ec2.SubnetSelection or None
        Subnets of it. None: the private ones.
    security_groups : sequence of ec2.ISecurityGroup
        The security groups.
    """
    chosen = subnets or ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
    return {
        "VpcConfig.SecurityGroupIds": [group.security_group_id for group in security_groups],
        "VpcConfig.Subnets": vpc.select_subnets(**chosen._values).subnet_ids,
    }


def grant_network_interfaces(role: iam.IRole) -> None:
    """Let SageMaker put a container's network interfaces into a VPC, in the name of its role."""
    # They do not exist yet, so that none can be named.
    role.add_to_principal_policy(iam.PolicyStatement(actions=list(_NETWORK_ACTIONS), resources=["*"]))
