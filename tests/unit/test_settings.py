"""Settings come from a Java home, nacos-docker's environment and flags, in that order; nothing is dropped silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from nacosx import settings
from nacosx.settings import SettingsError


def load(home: Path, properties: str = "", environment: dict[str, str] | None = None, **flags: object):
    if properties:
        (home / "conf").mkdir(exist_ok=True)
        (home / "conf" / "application.properties").write_text(properties, encoding="latin-1")
    return settings.load(home=home, environment=environment or {}, flags=flags)


def test_an_empty_home_gives_the_defaults_of_the_java_server(tmp_path: Path) -> None:
    loaded, warnings = load(tmp_path)
    assert (loaded.port, loaded.context_path, loaded.push_delay_ms) == (8848, "/nacos", 500)
    assert loaded.data_directory == tmp_path / "data" / "nacosx"
    assert warnings == []


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, "server.port=1\n")[0].port == 1
    assert load(tmp_path, "server.port=1\n", {"NACOS_APPLICATION_PORT": "2"})[0].port == 2
    assert load(tmp_path, "server.port=1\n", {"NACOS_APPLICATION_PORT": "2"}, port=3)[0].port == 3
    assert load(tmp_path, "server.port=1\n", port=None)[0].port == 1


def test_the_docker_image_file_is_filled_from_the_environment(tmp_path: Path) -> None:
    text = (
        "server.port=${NACOS_APPLICATION_PORT:8848}\nserver.servlet.contextPath=${SERVER_SERVLET_CONTEXTPATH:/nacos}\n"
    )
    assert load(tmp_path, text)[0].port == 8848
    loaded, _ = load(tmp_path, text, {"SERVER_SERVLET_CONTEXTPATH": "/n"})
    assert loaded.context_path == "/n"


def test_placeholders_nest_refer_to_keys_and_never_loop(tmp_path: Path) -> None:
    assert load(tmp_path, "a=7\nserver.port=${MISSING:${a}}\n")[0].port == 7
    with pytest.raises(SettingsError, match=r"server\.port"):
        load(tmp_path, "a=${b}\nb=${a}\nserver.port=${a}\n")
    with pytest.raises(SettingsError, match="NOWHERE"):
        load(tmp_path, "server.port=${NOWHERE}\n")


def test_relaxed_environment_names_reach_their_keys(tmp_path: Path) -> None:
    environment = {"NACOS_CONFIG_RETENTION_DAYS": "7", "NACOS_NAMING_CLEAN_EMPTYSERVICE_INTERVAL": "5"}
    loaded, warnings = load(tmp_path, environment=environment)
    assert (loaded.config_retention_days, loaded.empty_service_interval_ms) == (7, 5)
    assert warnings == []


def test_each_unsupported_key_is_named_once_and_wishes_we_grant_anyway_are_silent(tmp_path: Path) -> None:
    _, warnings = load(
        tmp_path,
        "nacos.core.auth.enabled=false\nspring.sql.init.platform=mysql\nserver.tomcat.basedir=file:.\nspring.sql.init.platform=mysql\n",
        {"DB_NUM": "1", "NACOS_DEPLOYMENT_TYPE": "server", "PATH": "/bin"},
    )
    named = sorted(warning.split()[1] for warning in warnings)
    assert named == ["NACOS_DEPLOYMENT_TYPE", "server.tomcat.basedir", "spring.sql.init.platform"]


CLUSTER = """\
#2024-01-01T00:00:00
10.0.0.1:8848
  10.0.0.2 # the main port

nacos-3:8849,[fd00::1]:8850 , fd00::2
10.0.0.1:8848
"""


def test_the_members_of_a_cluster_are_read_as_the_java_server_reads_them(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "cluster.conf").write_text(CLUSTER)
    loaded, warnings = load(tmp_path, environment={"MEMBER_LIST": "1.1.1.1,2.2.2.2"})
    assert loaded.members == ("10.0.0.1:8848", "10.0.0.2:8848", "nacos-3:8849", "[fd00::1]:8850", "[fd00::2]:8848")
    assert loaded.peer_port == 7848
    assert loaded.peer_addresses == (
        *("10.0.0.1:7848", "10.0.0.2:7848", "nacos-3:7849"),
        *("[fd00::1]:7850", "[fd00::2]:7848"),
    )
    assert warnings == []


def test_a_server_is_alone_when_it_is_told_so_or_has_no_others(tmp_path: Path) -> None:
    assert load(tmp_path)[0].members == ()
    assert load(tmp_path, environment={"NACOS_SERVERS": "a:9000 b:9000"})[0].members == ("a:9000", "b:9000")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "cluster.conf").write_text(CLUSTER)
    assert load(tmp_path, environment={"NACOS_STANDALONE": "true"})[0].members == ()
    (tmp_path / "conf" / "cluster.conf").write_text("10.0.0.1:8848\n")
    assert load(tmp_path)[0].members == ()


@pytest.mark.parametrize("line", ["a:b", "a:99999", "a:1000", "[x]:1", "x:1:b"])
def test_a_member_that_is_no_address_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "cluster.conf").write_text(f"{line}\nb\n")
    with pytest.raises(SettingsError, match="of a member"):
        load(tmp_path)


def test_members_of_one_cluster_share_a_secret(tmp_path: Path) -> None:
    assert load(tmp_path, environment={"NACOS_AUTH_IDENTITY_KEY": "k"})[0].peer_secret == b"k\n"
    named = "nacos.core.auth.server.identity.key=k\nnacos.core.auth.server.identity.value=v\n"
    assert load(tmp_path, named)[0].peer_secret == b"k\nv"


@pytest.mark.parametrize(
    ("properties", "environment"), [("nacos.core.auth.enabled=true\n", {}), ("", {"NACOS_AUTH_ENABLE": "true"})]
)
def test_asking_for_protection_we_cannot_give_is_refused(
    tmp_path: Path, properties: str, environment: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match="run open"):
        load(tmp_path, properties, environment)


@pytest.mark.parametrize("line", ["server.port=x", "server.port=70000", "nacos.naming.expireInstance=1"])
def test_a_bad_value_names_its_key(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=line.split("=")[0]):
        load(tmp_path, line + "\n")


def test_tls_between_members_is_all_there_or_refused(tmp_path: Path) -> None:
    prefix = "nacos.remote.peer.rpc.tls."
    named = (
        f"nacos.member.list=a b\n{prefix}enableTls=true\n{prefix}certChainFile=c.pem\n{prefix}certPrivateKey=k.pem\n"
    )
    with pytest.raises(SettingsError, match="trustCollectionCertFile"):
        load(tmp_path, named)
    loaded, warnings = load(tmp_path, f"{named}{prefix}trustCollectionCertFile=t.pem\n{prefix}mutualAuthEnable=true\n")
    assert (loaded.peer_tls, loaded.peer_tls_mutual, loaded.peer_tls_trusted) == (True, True, "t.pem")
    assert warnings == []
