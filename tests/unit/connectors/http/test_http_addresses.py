from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.http.addresses import Reach, plain, standing

NAT64 = IPv6Network("64:ff9b::/96")


@pytest.mark.parametrize(
    ("text", "reach", "kind"),
    [
        ("0.0.0.0", Reach.NEVER, "unspecified"),
        ("0.1.2.3", Reach.NEVER, "reserved"),
        ("10.0.0.1", Reach.PRIVATE, "private"),
        ("100.64.0.1", Reach.PRIVATE, "shared"),
        ("100.127.255.255", Reach.PRIVATE, "shared"),
        ("127.0.0.1", Reach.PRIVATE, "loopback"),
        ("127.255.255.254", Reach.PRIVATE, "loopback"),
        ("168.63.129.16", Reach.SPECIAL, "cloud metadata"),
        ("169.254.169.254", Reach.SPECIAL, "link-local"),
        ("172.16.0.1", Reach.PRIVATE, "private"),
        ("172.31.255.255", Reach.PRIVATE, "private"),
        ("192.0.0.192", Reach.SPECIAL, "reserved"),
        ("192.0.2.1", Reach.SPECIAL, "documentation"),
        ("192.88.99.1", Reach.SPECIAL, "6to4 relay"),
        ("192.168.1.1", Reach.PRIVATE, "private"),
        ("198.18.0.1", Reach.SPECIAL, "benchmark"),
        ("198.19.255.255", Reach.SPECIAL, "benchmark"),
        ("198.51.100.7", Reach.SPECIAL, "documentation"),
        ("203.0.113.7", Reach.SPECIAL, "documentation"),
        ("224.0.0.1", Reach.NEVER, "multicast"),
        ("239.255.255.255", Reach.NEVER, "multicast"),
        ("240.0.0.1", Reach.NEVER, "reserved"),
        ("255.255.255.255", Reach.NEVER, "broadcast"),
        ("::", Reach.NEVER, "unspecified"),
        ("::1", Reach.PRIVATE, "loopback"),
        ("::127.0.0.1", Reach.NEVER, "reserved"),  # IPv4-compatible, abolished
        ("::ffff:127.0.0.1", Reach.PRIVATE, "loopback"),
        ("::ffff:169.254.169.254", Reach.SPECIAL, "link-local"),
        ("::ffff:0:127.0.0.1", Reach.NEVER, "reserved"),
        ("64:ff9b::7f00:1", Reach.PRIVATE, "loopback"),
        ("64:ff9b::a9fe:a9fe", Reach.SPECIAL, "link-local"),
        ("64:ff9b:1::1", Reach.SPECIAL, "local NAT64"),
        ("100::1", Reach.NEVER, "discard"),
        ("2001::1", Reach.SPECIAL, "Teredo"),
        ("2001:2::1", Reach.SPECIAL, "benchmark"),
        ("2001:10::1", Reach.SPECIAL, "reserved"),
        ("2001:db8::1", Reach.SPECIAL, "documentation"),
        ("2002:7f00:1::", Reach.SPECIAL, "6to4"),
        ("3fff::1", Reach.SPECIAL, "documentation"),
        ("5f00::1", Reach.NEVER, "reserved"),
        ("fc00::1", Reach.PRIVATE, "private"),
        ("fd00:ec2::254", Reach.PRIVATE, "private"),
        ("fe80::1", Reach.SPECIAL, "link-local"),
        ("fe80::1%eth0", Reach.SPECIAL, "link-local"),
        ("fec0::1", Reach.SPECIAL, "site-local"),
        ("ff02::1", Reach.NEVER, "multicast"),
        ("4000::1", Reach.NEVER, "reserved"),
    ],
)
def test_addresses_that_are_not_public(text, reach, kind):
    found = standing(ip_address(text))
    assert (found.reach, found.kind) == (reach, kind)


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
        *("128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
        *("2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8"),
    ],
)
def test_public_addresses(text):
    assert standing(ip_address(text)).reach is Reach.PUBLIC


@given(st.integers(0, 2**32 - 1))
def test_what_the_standard_library_calls_private_is_never_public_here(number):
    address = IPv4Address(number)
    if (
        address.is_private
        or address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
    ):
        assert standing(address).reach is not Reach.PUBLIC


@given(st.integers(0, 2**128 - 1))
def test_no_address_of_ipv6_outside_the_global_part_is_public(number):
    address = IPv6Address(number)
    if not address.is_global and address.ipv4_mapped is None and address not in NAT64:
        assert standing(address).reach is not Reach.PUBLIC


@given(st.integers(0, 2**32 - 1))
def test_a_carried_address_has_the_standing_of_the_one_it_carries(number):
    inner = IPv4Address(number)
    assert standing(IPv6Address(f"::ffff:{inner}")) == standing(inner)
    assert standing(IPv6Address(int(IPv6Address("64:ff9b::")) + number)) == standing(inner)


def test_plain_undoes_mapping_and_drops_the_zone():
    assert plain(ip_address("::ffff:10.0.0.1")) == ip_address("10.0.0.1")
    assert str(plain(ip_address("fe80::1%eth0"))) == "fe80::1"
