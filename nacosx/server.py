"""The composition root: builds every part, starts and stops them in order. The only module that knows all of them.

Start: lock the data directory → load snapshot and rows, replay the log → bind the ports → listen → "ready". Alone, ready
is said only when a gRPC registration works, and no port answers before. A member of a cluster cannot wait for the others, who
may be started after it: it says that it is ready and refuses clients until it holds what the cluster holds.

Stop (SIGTERM, SIGINT): stop accepting → end long polls, drain HTTP, GOAWAY to gRPC clients → wait for the log → stop the
ticker → close log and rows → unlock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from random import randrange
from typing import TYPE_CHECKING

import uvloop

from nacosx import NACOS_VERSION, __version__, garbage
from nacosx._core.entry import Configuration
from nacosx._core.segment import CorruptLogError
from nacosx.api.checks import Checks
from nacosx.api.config_form import ConfigLimits
from nacosx.api.grpc import config as config_grpc
from nacosx.api.grpc import internal as internal_grpc
from nacosx.api.grpc import naming as naming_grpc
from nacosx.api.grpc.rpc import Connection
from nacosx.api.http import Routes
from nacosx.api.starting import starting
from nacosx.api.v1 import config as config_v1
from nacosx.api.v1 import console as console_v1
from nacosx.api.v1 import naming as naming_v1
from nacosx.api.v1.console import ServerState
from nacosx.api.v1.naming_desk import ServerStatus
from nacosx.clock import Clock, SystemClock
from nacosx.config.catalog import Catalog
from nacosx.config.events import ConfigChanged
from nacosx.engine.address_book import AddressBook
from nacosx.engine.beats import Beats
from nacosx.engine.cleaner import Cleaner
from nacosx.engine.cluster_members import ClusterMembers, caught_up
from nacosx.engine.gateway import Gateway
from nacosx.engine.push.listeners import Listeners
from nacosx.engine.push.long_polls import LongPolls
from nacosx.engine.push.pusher import Pusher
from nacosx.engine.raft.alone import ALONE
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.node import RaftNode
from nacosx.engine.raft.recovery import RecoveryError
from nacosx.engine.reactions import Reactions
from nacosx.engine.retention import Retention
from nacosx.engine.rooms import Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.engine.ticker import Ticker
from nacosx.namespaces import Namespaces
from nacosx.naming.commands import ConnectClient, DisconnectClient
from nacosx.naming.events import ClientReleased, ServiceChanged, ServiceSubscribed
from nacosx.naming.instance_ids import SnowflakeIds, worker_of
from nacosx.naming.registry import Registry
from nacosx.raft.options import Options
from nacosx.settings import Settings
from nacosx.storage.hard_state import HardStateFile
from nacosx.storage.identity import DamagedError, member_id
from nacosx.storage.lock import DirectoryLock, LockedError
from nacosx.storage.log import SegmentedLog
from nacosx.storage.rows import open_rows
from nacosx.storage.snapshots import SnapshotDirectory
from nacosx.wire.grpc import GrpcServer
from nacosx.wire.http import HttpServer
from nacosx.wire.listener import bind, listen, reserve
from nacosx.wire.udp import DatagramDoor

if TYPE_CHECKING:
    from nacosx.wire.peers import CapnpPeers

logger = logging.getLogger(__name__)

GROUP = "nacos"  # the Raft group of everything durable
EVERYWHERE = ("0.0.0.0", "::")
STOP_GRACE_MS = 3_000  # for requests under way when the server stops; long polls and streams are cut then

# What keeps a server from starting and is not our bug: one line for the person who started it, no traceback.
START_ERRORS = (OSError, LockedError, DamagedError, CorruptLogError, RecoveryError)


class Server:
    """One server, alone or a member of a cluster. `start` returns when it is ready, `stop` when nothing of it is left."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._settings = settings
        self._loop = loop
        self._clock = clock
        self._exit = AsyncExitStack()  # of what is there for the other members of a cluster
        self.port = 0
        self.grpc_port = 0

    # --- building ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises one of START_ERRORS when it cannot; whatever it had opened until then ends with the process."""
        settings = self._settings
        data = settings.data_directory
        data.mkdir(parents=True, exist_ok=True)
        self._lock = DirectoryLock(data)
        self._ticker = Ticker(self._loop, self._clock)
        sockets = bind_ports(settings)
        if settings.members:
            self._peer_socket = bind(settings.host, settings.peer_port)
        self.port, self.grpc_port = sockets[0].getsockname()[1], sockets[-1].getsockname()[1]
        self._ip = settings.ip or (settings.host if settings.host not in EVERYWHERE else local_ip())
        self._build_rooms()
        self._build_doors()
        self._build_engine()
        self._build_desks()
        self._group.start()
        await self._start_peers()
        await self._datagrams.open(self._loop, settings.host, self._pusher.datagrams.acknowledged)
        self._cleaner.start(forgets=not settings.members)
        self._retention.start()
        if self._peers is None:
            self._open()
        self._listening = [
            await listen(self._loop, sock, self._http.connection, self._grpc.connection, self._ticker)
            for sock in sockets
        ]

    def _build_rooms(self) -> None:
        """State, and what makes it durable."""
        data = self._settings.data_directory
        self._reactions: Reactions = {}
        registry, catalog, namespaces = Registry(), Catalog(), Namespaces()
        self._rows = open_rows(data / "rows.sqlite", self._ticker.schedule)
        self._log = SegmentedLog(data / "log", self._loop)
        machine = RoomsMachine(Rooms(registry, catalog, namespaces), self._rows, self._reactions)
        self._member = member_id(data)
        hard_states = HardStateFile(data / "raft")
        alone = not self._settings.members or (self._log.last_index > 0 and not hard_states.load().term)
        self._raft = RaftNode()
        self._peers = self._build_peers()
        self._group = RaftGroup(
            GROUP,
            machine,
            id=self._member,
            # Who begins in a cluster begins without a group, until one is founded or takes it in. What was written before there
            # were elections was written alone.
            configuration=Configuration([self._member] if alone else []),
            log=self._log,
            hard_states=hard_states,
            snapshots=SnapshotDirectory(data / "snapshots"),
            peers=self._peers or ALONE,
            ticker=self._ticker,
            loop=self._loop,
            clock=self._clock,
            random_below=randrange,
            options=Options(election_timeout_ms=self._settings.election_timeout_ms),
        )
        self._raft.add(self._group)
        self._gateway = Gateway(registry, catalog, namespaces, machine, self._group, self._clock, self._reactions)

    def _build_peers(self) -> CapnpPeers | None:
        """The other members, when there are any."""
        settings = self._settings
        if not settings.members:
            return None
        from nacosx.wire.peers import CapnpPeers  # brings pycapnp, which a stand-alone server does without

        host = f"[{self._ip}]" if ":" in self._ip else self._ip
        self._book = AddressBook(settings.peer_addresses)
        tls = server_tls = None
        if settings.peer_tls:
            from nacosx.wire.peers_tls import contexts

            tls, server_tls = contexts(
                certificate=settings.peer_tls_certificate,
                key=settings.peer_tls_key,
                password=settings.peer_tls_key_password,
                trusted=settings.peer_tls_trusted,
                mutual=settings.peer_tls_mutual,
            )
        return CapnpPeers(
            self._member,
            f"{host}:{settings.peer_port}",
            self._book,
            self._raft,
            secret=settings.peer_secret,
            loop=self._loop,
            ticker=self._ticker,
            random_below=randrange,
            host=settings.host if settings.host not in EVERYWHERE else None,
            tls=tls,
            server_tls=server_tls,
        )

    async def _start_peers(self) -> None:
        if self._peers is None:
            return
        from nacosx.wire.peers import kj_loop

        await self._exit.enter_async_context(kj_loop())
        await self._peers.start(self._peer_socket)
        self._exit.push_async_callback(self._peers.stop)
        members = ClusterMembers(
            self._member, self._group, self._book, self._peers, ticker=self._ticker, loop=self._loop
        )
        members.start()
        self._exit.push_async_callback(members.stop)
        opening = self._loop.create_task(self._open_when_caught_up())
        self._exit.callback(opening.cancel)
        logger.warning(
            "ephemeral instances are known only to the member they register at: members do not share them yet"
        )
        if not self._settings.server_identity_value:
            logger.warning(
                "anybody may join this cluster: set nacos.core.auth.server.identity.key and .value, on all members alike"
            )

    async def _open_when_caught_up(self) -> None:
        await caught_up(self._group, self._ticker, self._loop)
        logger.info("holds what the cluster holds: ready for clients")
        self._open()

    def _open(self) -> None:
        """From now on clients are served."""
        self._status.status = "UP"
        self._grpc.started = True
        self._http.serve(self._routes)

    def _build_doors(self) -> None:
        """What clients hear pushes from; the HTTP door follows when its desks are there."""
        settings = self._settings
        self._datagrams = DatagramDoor()
        self._grpc = GrpcServer(
            self._loop,
            self._ticker,
            self._clock,
            self._on_connected,
            self._on_disconnected,
            local_ip=self._ip,
            message_bytes_max=settings.grpc_message_bytes_max,
            keep_alive_ms=settings.grpc_keepalive_ms,
            keep_alive_timeout_ms=settings.grpc_keepalive_timeout_ms,
            permit_keep_alive_ms=settings.grpc_keepalive_permit_ms,
        )

    def _build_engine(self) -> None:
        """What reacts to events and to the time."""
        settings, gateway, ticker, clock = self._settings, self._gateway, self._ticker, self._clock
        self._pusher = Pusher(
            gateway.registry,
            self._grpc,
            self._datagrams,
            ticker,
            clock,
            delay_ms=settings.push_delay_ms,
            timeout_ms=settings.push_timeout_ms,
            retry_delay_ms=settings.push_retry_delay_ms,
        )
        self._beats = Beats(
            gateway.registry,
            gateway.submit,
            ticker,
            clock,
            expire_instances=settings.expire_instance,
            client_expired_ms=settings.client_expired_ms,
        )
        self._cleaner = Cleaner(
            gateway,
            ticker,
            clock,
            empty_service_interval_ms=settings.empty_service_interval_ms,
            empty_service_expired_ms=settings.empty_service_expired_ms,
            metadata_interval_ms=settings.expired_metadata_interval_ms,
            metadata_expired_ms=settings.expired_metadata_ms,
        )
        self._retention = Retention(self._rows, self._loop, ticker, clock, days=settings.config_retention_days)
        self._listeners = Listeners(
            self._grpc,
            ticker,
            self._grpc.disconnect,
            push_timeout_ms=settings.config_push_timeout_ms,
            push_tries_max=settings.config_push_retries_max,
        )
        self._long_polls = LongPolls(gateway.catalog, ticker)
        self._reactions.update(
            {
                ServiceChanged: (self._pusher.on_service_changed,),
                ServiceSubscribed: (self._pusher.on_service_subscribed,),
                ClientReleased: (self._beats.on_client_released,),
                ConfigChanged: (self._listeners.on_config_changed, self._long_polls.on_config_changed),
            }
        )

    def _build_desks(self) -> None:
        """What answers requests."""
        settings, gateway = self._settings, self._gateway
        checks = Checks(enabled=settings.param_check_enabled, metadata_length_max=settings.instance_metadata_chars_max)
        limits = ConfigLimits(
            content_chars_max=settings.config_chars_max, gray_versions_max=settings.config_gray_versions_max
        )
        worker = settings.snowflake_worker_id if settings.snowflake_worker_id >= 0 else worker_of(self._ip)
        self._grpc.serve(
            internal_grpc.rpcs()
            | naming_grpc.rpcs(gateway, checks=checks, snowflakes=SnowflakeIds(worker))
            | config_grpc.rpcs(gateway, self._listeners, checks=checks, limits=limits)
        )
        self._status = ServerStatus()
        self._routes: Routes = {
            **naming_v1.routes(
                gateway,
                self._beats,
                self._pusher.counters,
                checks=checks,
                status=self._status,
                address=f"{self._ip}:{self.port}",
            ),
            **config_v1.routes(gateway, self._listeners, self._long_polls, self._rows, checks=checks, limits=limits),
            **console_v1.routes(
                gateway,
                checks=checks,
                state=shown_state(settings, self.port),
                ready=lambda: self._grpc.started and not self._grpc.stopping,
            ),
        }
        self._http = HttpServer(
            self._loop,
            starting(self._routes),
            self._ticker,
            self._clock,
            context_path=settings.context_path,
            head_bytes_max=settings.http_header_bytes_max,
        )

    # --- connections -------------------------------------------------------------------------------------------------

    def _on_connected(self, connection: Connection) -> None:
        self._gateway.submit(ConnectClient(connection.connection_id, self._clock.wall_ms()))

    def _on_disconnected(self, connection_id: str) -> None:
        self._gateway.submit(DisconnectClient(connection_id, self._clock.wall_ms()))
        self._listeners.release(connection_id)

    # --- stopping ----------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        for listening in self._listening:
            listening.close()
        self._long_polls.end()
        await asyncio.gather(self._http.stop(STOP_GRACE_MS), self._grpc.stop(STOP_GRACE_MS))
        for listening in self._listening:
            await listening.wait_closed()
        self._datagrams.close()
        await self._group.stop()
        await self._exit.aclose()
        await self._retention.stop()
        self._ticker.stop()
        self._log.close()
        self._rows.close()
        self._lock.release()

    def tell_metrics(self) -> None:
        """Writes the numbers of every group to the log."""
        for group in self._raft:
            numbers = ", ".join(f"{name} {number}" for name, number in group.metrics.numbers().items())
            logger.info("metrics of the group %s: %s", group.name, numbers)


def shown_state(settings: Settings, port: int) -> ServerState:
    """What GET /v1/console/server/state shows of the settings."""
    return ServerState(
        function_mode=settings.function_mode,
        version=NACOS_VERSION,
        server_port=str(port),
        notifyConnectTimeout=str(settings.notify_connect_timeout_ms),
        notifySocketTimeout=str(settings.notify_socket_timeout_ms),
        isHealthCheck=str(settings.health_check).lower(),
        maxHealthCheckFailCount=str(settings.health_check_failures_max),
        maxContent=str(settings.config_chars_max),
        isManageCapacity=str(settings.manage_capacity).lower(),
        defaultClusterQuota=str(settings.cluster_quota),
        defaultGroupQuota=str(settings.group_quota),
        defaultMaxSize=str(settings.config_bytes_default_max),
        defaultMaxAggrCount=str(settings.aggregated_configs_max),
        defaultMaxAggrSize=str(settings.aggregated_bytes_max),
        config_retention_days=str(settings.config_retention_days),
    )


def bind_ports(settings: Settings) -> list[socket.socket]:
    """The main port and the gRPC port, which may be the same one; OSError names the one that is taken."""
    if settings.grpc_port is None and settings.grpc_port_offset:
        return list(reserve(settings.host, settings.port, settings.grpc_port_offset))
    main = bind(settings.host, settings.port)
    if settings.grpc_port in (None, settings.port):
        return [main]
    try:
        return [main, bind(settings.host, settings.grpc_port)]
    except OSError:
        main.close()
        raise


def local_ip() -> str:
    """The address other machines most likely know us by; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address nobody has, to ask the routing table
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def since_exec_ms() -> int:
    """Milliseconds since this process was started, from the kernel (proc(5): field 22 of stat, in clock ticks)."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            started_ticks = int(stat.read().rpartition(b")")[2].split()[19])
    except OSError:
        return int(time.process_time() * 1000)
    boot_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    return boot_ms - started_ticks * 1000 // os.sysconf("SC_CLK_TCK")


async def serve(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT. Exit status: 0, or 1 when the server could not start."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    server = Server(settings, loop, SystemClock())
    try:
        await server.start()
    except START_ERRORS as error:
        print(f"nacosx cannot start: {error}", file=sys.stderr)
        return 1
    loop.add_signal_handler(signal.SIGUSR2, server.tell_metrics)  # SOFAJRaft's signal for it
    garbage.settle()
    print(
        f"nacosx {__version__} ready in {since_exec_ms()} ms: http {settings.host}:{server.port}, "
        f"grpc {settings.host}:{server.grpc_port}, data {settings.data_directory}",
        flush=True,
    )
    await stopping.wait()
    logger.info("stopping")
    await server.stop()
    return 0


def run(settings: Settings, *, warnings: list[str], log_level: str) -> int:
    """The process: logging, event loop, server. Returns the exit status."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for warning in warnings:
        logger.warning(warning)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings))
