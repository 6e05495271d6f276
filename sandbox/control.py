"""The sandbox's own pages under /_sandbox/: journal, faults, barriers, a look at the world."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.checks import Mistake, Reader
from sandbox.faults import read_rules
from sandbox.protocol import Answer
from sandbox.world import is_shown

if TYPE_CHECKING:
    from sandbox.application import Application
    from sandbox.instances import Instance


def answer(application: Application, environ: dict[str, Any], body: bytes) -> Answer:
    """Answer one request to /_sandbox/."""
    method = environ["REQUEST_METHOD"]
    parts = environ["PATH_INFO"].removeprefix("/_sandbox/").strip("/").split("/")
    try:
        result = _route(application, method, parts, dict(parse_qsl(environ.get("QUERY_STRING", ""))), body)
    except Mistake as mistake:
        return _json({"error": str(mistake)}, 400)
    except (ValueError, KeyError) as error:
        return _json({"error": f"The request cannot be read: {error!r}"}, 400)
    if result is None:
        return _json({"error": f"There is no {method} {environ['PATH_INFO']}"}, 404)
    return _json(result, 200)


def _json(result: object, status: int) -> Answer:
    return Answer(status, json.dumps(result, default=str).encode())


def _route(  # noqa: C901 - one line a page
    app: Application, method: str, parts: list[str], query: dict[str, str], body: bytes
) -> dict[str, Any] | None:
    match method, parts:
        case "GET", ["healthz"]:
            return {"status": "ok"}
        case "GET", ["calls"]:
            return {"calls": app.journal.read(query)}
        case "DELETE", ["calls"]:
            app.journal.clear()
            return {}
        case "GET", ["faults"]:
            return {"rules": [dataclasses.asdict(rule) for rule in app.faults.rules]}
        case "POST", ["faults"]:
            app.faults.add(read_rules(json.loads(body)))
            return {"rules": len(app.faults.rules)}
        case "PUT", ["faults"]:
            app.faults.replace(read_rules(json.loads(body)))
            return {"rules": len(app.faults.rules)}
        case "DELETE", ["faults"]:
            app.faults.replace([])
            return {}
        case "GET", ["barriers"]:
            return {"waiting": app.faults.barriers.waiting()}
        case "POST", ["barriers", name, "release"]:
            action = Reader(json.loads(body or b"{}"), "").choice("action", ("continue", "drop"), "continue")
            return {"released": app.faults.barriers.release(name, action)}
        case "GET", ["fleet"]:
            return fleet(app)
        case "GET", ["instances", account_id, region]:
            held = app.world.accounts[account_id].regions[region].held()
            return {"instances": [instance(one) for one in held]}
        case _:
            return None


def fleet(app: Application) -> dict[str, Any]:
    """Counts; `gone` are the instances that EC2 shows no longer, which the other counts leave out."""
    world = app.world
    now = time.time()
    every = [i for i in tuple(world.instances.values()) if is_shown(i, now)]
    by_tokens = Counter(i.options.mode for i in every)
    return {
        "seed": world.seed,
        "anchor": world.anchor,
        "accounts": len(world.accounts),
        "instances": len(every),
        "gone": len(world.instances) - len(every),
        "by_mode": by_tokens,
        "by_state": Counter(i.state for i in every),
        "by_account": {
            a.account_id: {
                "name": a.name,
                "ou": "/".join(a.path),
                "regions": {
                    r.name: sum(is_shown(i, now) for i in r.held()) for r in a.regions.values()
                },
            }
            for a in world.accounts.values()
        },
    }  # fmt: skip


def instance(one: Instance) -> dict[str, Any]:
    """One instance as the sandbox knows it."""
    return {
        "instance_id": one.instance_id,
        "name": one.name,
        "state": one.state,
        "options": {name: getattr(one.options, name) for name in one.options.__slots__},
        "options_state": one.options_state(time.time()),
        "managed": one.managed,
        "asg": one.blueprint.asg,
        "usage": one.blueprint.usage.profile,
        "modes": one.modes,
        "runs": [[run.start, run.end] for run in one.runs],
        "tags": one.tags(),
    }
