import socket

import pytest

from s2s_core.errors import UserError
from s2s_core.serving.server import address_of, bind, is_loopback


def test_port_0_is_a_free_one_and_a_port_in_use_is_said():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address_of(taken) == f"http://127.0.0.1:{port}/"
        taken.listen()
        with pytest.raises(UserError, match=rf"--port {port}: in use on 127\.0\.0\.1; --port 0 finds a free one"):
            bind("127.0.0.1", port)
    bind("127.0.0.1", port).close()


def test_addresses_of_other_machines_and_no_addresses():
    with pytest.raises(UserError, match=r"--host 192\.0\.2\.1 --port 0: "):
        bind("192.0.2.1", 0)
    with pytest.raises(UserError, match="--host no_such_host: "):
        bind("no_such_host", 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_addresses_stand_in_brackets():
    try:
        taken = bind("::1", 0)
    except UserError:
        pytest.skip("this machine has no IPv6 loopback")
    with taken:
        assert address_of(taken).startswith("http://[::1]:")


def test_loopback():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost")] == [True] * 4
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("192.168.1.2")
