"""The two that are drawn rather than written: Node-RED and n8n, each with the flow that its users draw."""

import functools
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.contenders import TOKEN, Command, Contender

MODULES = Path(__file__).with_name("node_modules")
NODE = str(MODULES / ".bin" / "node")
MAP = """
const form = msg.payload;
msg.payload = {email: form.email, mobile_phone_number: form.phone,
               full_name: form.first_name + " " + form.last_name};
msg.headers = {authorization: "Bearer " + env.get("OCAMBA_TOKEN"), "content-type": "application/json"};
"""


class NodeRed(Contender):
    """Node-RED: answer, then a delay node that lets 150 a minute through, then the call; a call that fails
    goes round again after ten seconds. Its context is kept in files, its one durable setting."""

    title = "Node-RED"

    @staticmethod
    def is_installed() -> bool:
        return (MODULES / "node-red").exists()

    def prepare(self) -> None:
        self.folder.joinpath("flows.json").write_text(json.dumps(list(self._flow())))
        self.folder.joinpath("settings.js").write_text(
            "module.exports = {flowFile: 'flows.json', uiHost: '127.0.0.1', httpAdminRoot: false,"
            " diagnostics: {enabled: false}, telemetry: {enabled: false},"
            " contextStorage: {default: {module: 'localfilesystem', config: {flushInterval: 1}}}};\n"
        )

    def _flow(self) -> Iterator[dict[str, object]]:
        call = {"type": "http request", "method": "POST", "ret": "txt", "url": self.upstream}
        ways = {"type": "switch", "property": "statusCode", "checkall": "false", "outputs": 2}
        ways["rules"] = [{"t": "btwn", "v": "200", "vt": "num", "v2": "299", "v2t": "num"}, {"t": "else"}]
        pace = {"pauseType": "rate", "rate": "150", "nbRateUnits": "1", "rateUnits": "minute"}
        nodes: dict[str, dict[str, object]] = {
            "in": {"type": "http in", "url": "/signup", "method": "post", "wires": [["map"]]},
            "map": {"type": "function", "func": f"{MAP} return [msg, msg];", "outputs": 2},
            "answer": {"type": "http response", "statusCode": "202", "wires": []},
            "pace": {"type": "delay", **pace, "drop": False, "outputs": 1, "wires": [["call"]]},
            "call": call | {"wires": [["ways"]]},
            "ways": ways | {"wires": [[], ["later"]]},
            "later": {"type": "delay", "pauseType": "delay", "timeout": "10", "timeoutUnits": "seconds"},
            "in-wait": {"type": "http in", "url": "/wait", "method": "post", "wires": [["map-wait"]]},
            "map-wait": {"type": "function", "func": f"{MAP} return msg;", "wires": [["call-wait"]]},
            "call-wait": call | {"wires": [["answer"]]},
        }
        nodes["map"]["wires"] = [["answer"], ["pace"]]
        nodes["later"]["wires"] = [["pace"]]
        yield {"id": "flow", "type": "tab", "label": "sign-ups"}
        for name, node in nodes.items():
            yield {"id": name, "z": "flow"} | node

    def commands(self) -> list[Command]:
        red = [str(MODULES / "node-red" / "red.js"), "-u", str(self.folder), "-s", "settings.js"]
        return [([NODE, *red, "-p", str(self.port)], {"OCAMBA_TOKEN": TOKEN})]


N8N = str(MODULES / "n8n" / "bin" / "n8n")
PROFILE = """={{ JSON.stringify({email: $json.body.email, mobile_phone_number: $json.body.phone,
full_name: $json.body.first_name + ' ' + $json.body.last_name}) }}"""


class N8n(Contender):
    """n8n in one process, one execution at a time with a pause after each, so that it keeps the pace; a call
    that fails is tried five times. Each execution is saved as it goes on, its durable setting."""

    title: ClassVar = "n8n"
    path: ClassVar = "/webhook/signup"
    waiting_path: ClassVar = "/webhook/wait"

    @staticmethod
    def is_installed() -> bool:
        return Path(N8N).exists()

    def prepare(self) -> None:
        shutil.copytree(_n8n_with_workflows(), self.folder, dirs_exist_ok=True)

    def commands(self) -> list[Command]:
        more = {
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(self.port + 1),
            "N8N_CONCURRENCY_PRODUCTION_LIMIT": "1",
            "UPSTREAM": self.upstream,
            "OCAMBA_TOKEN": TOKEN,
        }
        return [([NODE, N8N, "start"], _quiet(self.folder) | more)]

    def ready(self) -> bool:
        return "Editor is now accessible" in (self.folder / "output.log").read_text(errors="replace")


def _quiet(folder: Path) -> dict[str, str]:
    off = (
        "DIAGNOSTICS_ENABLED",
        "VERSION_NOTIFICATIONS_ENABLED",
        "TEMPLATES_ENABLED",
        "BLOCK_ENV_ACCESS_IN_NODE",
    )
    where = {"N8N_USER_FOLDER": str(folder), "N8N_LISTEN_ADDRESS": "127.0.0.1", "HOME": str(folder)}
    return where | {f"N8N_{name}": "false" for name in off}


@functools.cache
def _n8n_with_workflows() -> Path:
    """Return a folder with both workflows imported and published, which takes a while."""
    folder = Path(tempfile.mkdtemp(prefix="relay-peers-n8n-"))
    env = {"PATH": f"{MODULES / '.bin'}:{os.environ['PATH']}"} | _quiet(folder)
    file = folder / "workflows.json"
    file.write_text(json.dumps([_workflow("signup", is_waiting=False), _workflow("wait", is_waiting=True)]))
    _run([NODE, N8N, "import:workflow", f"--input={file}"], env)
    with closing(sqlite3.connect(folder / ".n8n" / "database.sqlite")) as link, link:
        link.execute(  # what the editor does when somebody saves
            "INSERT INTO workflow_history"
            " (versionId, workflowId, authors, nodes, connections, name, autosaved)"
            " SELECT versionId, id, 'import', nodes, connections, name, 0 FROM workflow_entity"
        )
    for name in ("signup", "wait"):
        _run([NODE, N8N, "publish:workflow", f"--id={name:0<16}"], env)
    return folder


def _run(words: list[str], env: dict[str, str]) -> None:
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=120)


def _workflow(name: str, is_waiting: bool) -> dict[str, object]:
    now = {"responseMode": "onReceived", "options": {"responseCode": {"values": {"responseCode": 202}}}}
    hook = {"httpMethod": "POST", "path": name} | ({"responseMode": "lastNode"} if is_waiting else now)
    proof = {"name": "Authorization", "value": "=Bearer {{ $env.OCAMBA_TOKEN }}"}
    call = {"method": "POST", "url": "={{ $env.UPSTREAM }}", "sendHeaders": True, "sendBody": True}
    call |= {"headerParameters": {"parameters": [proof]}, "specifyBody": "json", "jsonBody": PROFILE}
    again = {"retryOnFail": True, "maxTries": 5, "waitBetweenTries": 5000}
    nodes = [
        {"name": "Webhook", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "parameters": hook},
        {"name": "Call", "type": "n8n-nodes-base.httpRequest", "typeVersion": 4.2, "parameters": call}
        | again,
    ]
    if not is_waiting:
        pause = {"amount": 0.4, "unit": "seconds"}
        nodes.append(
            {"name": "Pause", "type": "n8n-nodes-base.wait", "typeVersion": 1.1, "parameters": pause}
        )
    names = [str(node["name"]) for node in nodes]
    return {
        "id": f"{name:0<16}",
        "name": name,
        "versionId": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "active": False,
        "nodes": [
            node | {"id": f"{name}-{at}", "position": [200 * at, 0], "webhookId": f"{name}-{at}"}
            for at, node in enumerate(nodes)
        ],
        "connections": {
            one: {"main": [[{"node": after, "type": "main", "index": 0}]]}
            for one, after in itertools.pairwise(names)
        },
        "settings": {"executionOrder": "v1", "saveExecutionProgress": True},
    }
