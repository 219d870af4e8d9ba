"""Which addresses of the internet are public, and what the others are. Source: IANA's special-purpose registries."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

from penstock.structs import Frozen

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network


class Reach(Enum):
    """Who may be asked to connect there.

    PUBLIC: anybody. PRIVATE: where the connection allows the host's name or the address. SPECIAL: where it allows the
    address itself, since a name that leads there is rather an attack than a wish. NEVER: nobody.
    """

    PUBLIC = "public"
    PRIVATE = "private"
    SPECIAL = "special"
    NEVER = "never"


class Standing(Frozen):
    """What an address is; ``kind`` completes "it is a … address"."""

    reach: Reach
    kind: str


_PUBLIC: Final = Standing(Reach.PUBLIC, "public")
_RESERVED: Final = Standing(Reach.NEVER, "reserved")

# The most special first: the first network that holds the address decides.
_TABLE: Final[tuple[tuple[str, Reach, str], ...]] = (
    ("0.0.0.0/32", Reach.NEVER, "unspecified"),
    ("0.0.0.0/8", Reach.NEVER, "reserved"),
    ("10.0.0.0/8", Reach.PRIVATE, "private"),
    ("100.64.0.0/10", Reach.PRIVATE, "shared"),
    ("127.0.0.0/8", Reach.PRIVATE, "loopback"),
    ("168.63.129.16/32", Reach.SPECIAL, "cloud metadata"),
    ("169.254.0.0/16", Reach.SPECIAL, "link-local"),
    ("172.16.0.0/12", Reach.PRIVATE, "private"),
    ("192.0.0.0/24", Reach.SPECIAL, "reserved"),
    ("192.0.2.0/24", Reach.SPECIAL, "documentation"),
    ("192.88.99.0/24", Reach.SPECIAL, "6to4 relay"),
    ("192.168.0.0/16", Reach.PRIVATE, "private"),
    ("198.18.0.0/15", Reach.SPECIAL, "benchmark"),
    ("198.51.100.0/24", Reach.SPECIAL, "documentation"),
    ("203.0.113.0/24", Reach.SPECIAL, "documentation"),
    ("224.0.0.0/4", Reach.NEVER, "multicast"),
    ("255.255.255.255/32", Reach.NEVER, "broadcast"),
    ("240.0.0.0/4", Reach.NEVER, "reserved"),
    ("::/128", Reach.NEVER, "unspecified"),
    ("::1/128", Reach.PRIVATE, "loopback"),
    ("64:ff9b:1::/48", Reach.SPECIAL, "local NAT64"),
    ("100::/64", Reach.NEVER, "discard"),
    ("2001::/32", Reach.SPECIAL, "Teredo"),
    ("2001:2::/48", Reach.SPECIAL, "benchmark"),
    ("2001:db8::/32", Reach.SPECIAL, "documentation"),
    ("2001::/23", Reach.SPECIAL, "reserved"),
    ("2002::/16", Reach.SPECIAL, "6to4"),
    ("3fff::/20", Reach.SPECIAL, "documentation"),
    ("fc00::/7", Reach.PRIVATE, "private"),
    ("fe80::/10", Reach.SPECIAL, "link-local"),
    ("fec0::/10", Reach.SPECIAL, "site-local"),
    ("ff00::/8", Reach.NEVER, "multicast"),
)
_NETWORKS: Final = tuple((ip_network(text), Standing(reach, kind)) for text, reach, kind in _TABLE)
_UNICAST_6: Final = IPv6Network("2000::/3")  # the only part of IPv6 that is given out to the public
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: carries an IPv4 address in its last 32 bits


def plain(address: IpAddress) -> IpAddress:
    """The address that is really meant: an IPv4-mapped IPv6 address is the IPv4 address; zone ids are dropped."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def carried(address: IpAddress) -> IPv4Address | None:
    """The IPv4 address to which a NAT64 gateway turns this one, or None."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


@lru_cache(maxsize=4096)
def standing(address: IpAddress) -> Standing:
    """What the address is; one that carries an IPv4 address (mapped, NAT64) is what the carried one is."""
    address = plain(address)
    address = carried(address) or address
    for network, found in _NETWORKS:
        if address.version == network.version and address in network:
            return found
    if isinstance(address, IPv6Address) and address not in _UNICAST_6:
        return _RESERVED
    return _PUBLIC
