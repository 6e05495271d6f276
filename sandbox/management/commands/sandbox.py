"""`manage.py sandbox`: serve the pretend AWS until Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from sandbox import state
from sandbox.checks import Mistake
from sandbox.demo import SEED, demo_fleet
from sandbox.faults import read_rules
from sandbox.fleet.read import build, load
from sandbox.world import is_shown

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from sandbox.server import Server
    from sandbox.world import World


class Command(BaseCommand):
    """See `sandbox/README.md` for the fleet file, the faults and what differs from AWS."""

    help = "Serve a pretend AWS on 127.0.0.1 until Ctrl-C: the demo organisation, or your own fleet file."
    requires_system_checks: tuple[str, ...] = ()  # it needs no database and none of the product's settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument(
            "--port", type=int, default=5123, help="port to listen on; 0 takes a free one (default: 5123)"
        )
        parser.add_argument("--fleet", type=Path, help="fleet file to serve (default: the demo organisation)")
        parser.add_argument("--faults", type=Path, help="file of fault rules to start with")
        parser.add_argument("--state", type=Path, help="file that keeps changes, so that a second start goes on")
        parser.add_argument("--seed", type=int, help="other ids and other noise")

    def handle(self, *_: object, **options: Any) -> None:
        """Serve."""
        try:
            world, recorder = _world(options["fleet"], options["state"], options["seed"])
            rules = read_rules(load(options["faults"])) if options["faults"] else []
        except Mistake as mistake:
            raise CommandError(str(mistake)) from None
        server = _listen(world, options["port"])
        server.application.faults.replace(rules)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _interrupt)
        self.stdout.write(_greeting(world, server.url))
        self.stdout.flush()
        try:
            server.serve()
        except KeyboardInterrupt:
            pass
        finally:
            server.close()
            if recorder:
                recorder.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _world(fleet_path: Path | None, state_path: Path | None, seed: int | None) -> tuple[World, state.Recorder | None]:
    kept = state.read(state_path) if state_path else None
    if kept and seed is not None and seed != kept.seed:
        raise Mistake(
            str(state_path), f"was begun with seed {kept.seed}, not {seed}; leave --seed out or remove the file"
        )
    wanted = kept.seed if kept else seed
    if fleet_path is None:
        wanted = SEED if wanted is None else wanted
    fleet = load(fleet_path) if fleet_path else demo_fleet()
    world = build(fleet, seed=wanted, anchor=kept.anchor if kept else None)
    if kept:
        state.replay(world, kept)
    recorder = state.Recorder(state_path, world, fresh=kept is None) if state_path else None
    return world, recorder


def _listen(world: World, port: int) -> Server:
    from sandbox.server import HOST, Server  # noqa: PLC0415 - moto takes seconds to import; mistakes are told before that

    try:
        return Server(world, port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        hint = "Give another with --port (0 takes a free one)."
        raise CommandError(f"Port {port} on {HOST} cannot be used: {why}. {hint}") from None


def _greeting(world: World, url: str) -> str:
    key = next(iter(world.keys.values()), None)
    key_id = key.access_key_id if key else "AKIAIOSFODNN7EXAMPLE"
    secret = key.secret_access_key if key else "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    region = next(iter(world.first_account.regions))
    shown = sum(is_shown(instance, time.time()) for instance in world.instances.values())
    return (
        f"Pretend AWS at {url} ({len(world.accounts)} accounts, {shown} instances): "
        f"AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID={key_id} AWS_SECRET_ACCESS_KEY={secret} "
        f"AWS_DEFAULT_REGION={region} AWS_EC2_METADATA_DISABLED=true"
    )
