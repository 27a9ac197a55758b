"""The key of our own certificate may be encrypted: its password too comes from a file or the
environment, and is told to nobody."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from engine.errors import ConfigError
from feeds.security import KEY_PASSWORD_VARIABLE, Security

PASSWORD, WRONG = "battery-staple-3141", "wrong-horse-1627"
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUKXnlM+ipT8MXNvFjbfTYGertMyEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGZW5naW5lMCAXDTI2MTEyMzA4MTYxOFoYDzIxMjYxMDMwMDgx
NjE4WjARMQ8wDQYDVQQDDAZlbmdpbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATmUsDl0J5m688nocKmRXYnoDYn+7262+lxbt9TOlbKUI6uG0rrZF58Xpzfr1Hc
D4Iy0tEjo5TfJ4aPLSq9vHaFo1MwUTAdBgNVHQ4EFgQUrGhmmgCJsii5KwR1kW2o
K3vvXU8wHwYDVR0jBBgwFoAUrGhmmgCJsii5KwR1kW2oK3vvXU8wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBNbIPDMHrDYTPsXl1ueENBclStQQRc
9kc9L/UO3kd3DgIgfB6/PcZ6exI/06Bfi9n/ezAZfJ3Mx/8z4zZtOvXxpX4=
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjTKgs8gREWbAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDElCUAEJeQAc7M99HnJbUEEgZCv
j+vaolKs96b0ryY1hjp9oD8bpE4sErItUN6sGsxjCq5EUs0RacAcxR8rwBPgi7Rt
JDYDpWCkkOpQv33AhIIfW9SuCSFYJk8P1JZ+TGfTeAlmgC16tnF3bU3D5LSvDRhN
yUP92O4C1tHFFgNg6g7UpWQmYAkxtqAyNt94Ur3rVxOlKdQstCDoNKNV0Z16ZeY=
-----END ENCRYPTED PRIVATE KEY-----
"""  # of the test alone, made for it


@pytest.fixture
def ours(tmp_path: Path) -> dict[str, str]:
    """Our certificate and its encrypted key, in files."""
    for name, text in (("client.pem", CERTIFICATE), ("client-key.pem", KEY)):
        (tmp_path / name).write_text(text)
    return {
        "ssl_certfile": str(tmp_path / "client.pem"),
        "ssl_keyfile": str(tmp_path / "client-key.pem"),
    }


def test_password_of_the_key(ours: dict[str, str], tmp_path: Path) -> None:
    """A named file holds before the variable, less the end of its line."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    named = Security(security_protocol="SSL", ssl_key_password_file=str(file), **ours)
    from_file = named.options({KEY_PASSWORD_VARIABLE: WRONG})
    alone = Security(security_protocol="SSL", **ours)
    from_environment = alone.options({KEY_PASSWORD_VARIABLE: PASSWORD})
    for options in (from_file, from_environment):
        assert isinstance(options["ssl_context"], ssl.SSLContext)
        assert PASSWORD not in repr(options)
    assert PASSWORD not in repr(named) + repr(alone)


@pytest.mark.parametrize("environment", [{}, {KEY_PASSWORD_VARIABLE: WRONG}])
def test_a_key_that_cannot_be_read(ours: dict[str, str], environment: dict[str, str]) -> None:
    """Without its password, or with another one, an encrypted key is told by its files, in one
    line; nobody is asked at a terminal that may not be there."""
    security = Security(security_protocol="SSL", **ours)
    with pytest.raises(ConfigError, match=r"client\.pem and .*client-key\.pem: ") as caught:
        security.options(environment)
    assert "\n" not in str(caught.value)
    assert WRONG not in str(caught.value)
    assert caught.value.__suppress_context__
