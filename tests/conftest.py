"""What tests of several packages share, most of it a server on loopback.

The server speaks the few GraphQL calls of Weights & Biases that sweeps and their runs need.
"""

import itertools
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import yaml

import stand_ins

ENTITY, PROJECT = "team", "project"


class Server(ThreadingHTTPServer):
    """Gives out the grid of whatever sweep was registered, a range's ends, and remembers all it was told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.sweeps = {}
        self.waiting = []
        self.runs = {}
        self.preempting = set()
        self.logged = {}
        self.artifacts = {}
        self.agents = 0
        self.unknown = []

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def register(self, config):
        name = f"sweep{len(self.sweeps) + 1}"
        self.sweeps[name] = config
        ranges = {key: one.get("values") or [one["min"], one["max"]] for key, one in config["parameters"].items()}
        self.waiting = [dict(zip(ranges, drawn, strict=True)) for drawn in itertools.product(*ranges.values())]
        return name

    def next_command(self, running):
        with self.lock:
            if running:
                return []
            if not self.waiting:
                return [{"type": "exit"}]
            settings = self.waiting.pop(0)
            name = f"run{len(self.runs) + 1}"
            self.runs[name] = settings
        args = {key: {"value": value} for key, value in settings.items()}
        return [{"type": "run", "run_id": name, "program": "lightning", "args": args}]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):
        self.body()
        self.reply({})

    def do_PUT(self):
        body = self.body()
        if match := re.fullmatch(r"/artifacts/([^/]+)/(.+)", self.path):
            self.server.artifacts[match[1]][match[2]] = body
        self.reply({})

    def do_POST(self):
        body = self.body()
        if match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            self.stream(match[1], json.loads(body))
            return
        if not self.path.endswith("/graphql"):
            self.reply({})
            return
        query = json.loads(body)
        name = re.search(r"(?:query|mutation)\s+(\w+)", query["query"])
        handler = getattr(self, f"on_{name[1]}" if name else "on_unnamed", None)
        if handler is None:
            self.server.unknown.append(query["query"])
            self.reply({"errors": [{"message": f"the tests' server does not know {name and name[1]}"}]}, 400)
            return
        self.reply({"data": handler(query.get("variables") or {})})

    def stream(self, run, content):
        files = content.get("files") or {}
        lines = [json.loads(line) for line in (files.get("wandb-history.jsonl") or {}).get("content", [])]
        with self.server.lock:
            self.server.logged.setdefault(run, []).extend(lines)
            if content.get("preempting"):
                self.server.preempting.add(run)
        self.reply({})

    def on_Viewer(self, variables):
        return {"viewer": {"id": "1", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def on_UpsertSweep(self, variables):
        name = self.server.register(yaml.safe_load(variables["config"]))
        project = {"id": "1", "name": variables["projectName"] or PROJECT, "entity": {"id": "1", "name": ENTITY}}
        return {"upsertSweep": {"sweep": {"name": name, "project": project}, "configValidationWarnings": []}}

    def on_SweepWithRuns(self, variables):
        config = self.server.sweeps.get(variables["sweep"])
        if config is None:
            return {"project": None}
        sweep = {"id": "1", "name": variables["sweep"], "config": yaml.safe_dump(config), "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def on_CreateAgent(self, variables):
        with self.server.lock:
            self.server.agents += 1
            return {"createAgent": {"agent": {"id": str(self.server.agents)}}}

    def on_Heartbeat(self, variables):
        commands = self.server.next_command(json.loads(variables["runState"]))
        return {"agentHeartbeat": {"agent": {"id": variables["id"]}, "commands": json.dumps(commands)}}

    def on_UpsertBucket(self, variables):
        name = variables.get("name") or "unnamed"
        project = {"id": "1", "name": PROJECT, "entity": {"id": "1", "name": ENTITY}}
        bucket = {
            "id": name,
            "name": name,
            "displayName": name,
            "sweepName": variables.get("sweep"),
            "project": project,
        }
        bucket.update(description=None, config=None, historyLineCount=0)
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def on_ServerFeaturesQuery(self, variables):
        return {"serverInfo": {"features": []}}

    def on_OrganizationCoreWeaveOrganizationID(self, variables):
        return {"entity": None}

    def on_CreateRunFiles(self, variables):
        files = [{"name": name, "uploadUrl": f"{self.server.address}/upload"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def on_RunResumeStatus(self, variables):
        return {"model": None}

    def on_ArtifactType(self, variables):
        return {"project": {"artifact": None}}

    def on_CreateArtifact(self, variables):
        with self.server.lock:
            name = f"artifact{len(self.server.artifacts) + 1}"
            self.server.artifacts[name] = {"type": variables["input"]["artifactTypeName"]}
        sequence = {"id": variables["input"]["artifactCollectionName"], "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}

    def on_CreateArtifactManifest(self, variables):
        name = variables["artifactID"]
        file = {"id": name, "name": "manifest", "uploadUrl": f"{self.server.address}/manifest", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": name, "file": file}}}

    def on_UpdateArtifactManifest(self, variables):
        return self.on_CreateArtifactManifest({"artifactID": variables["artifactManifestID"]})

    def on_CreateArtifactFiles(self, variables):
        nodes = []
        for file in variables["input"]["artifactFiles"]:
            artifact = file["artifactID"]
            url = f"{self.server.address}/artifacts/{artifact}/{file['name']}"
            node = {"id": file["name"], "name": file["name"], "displayName": file["name"], "uploadUrl": url}
            node.update(uploadHeaders=[], storagePath=None, uploadMultipartUrls=None, artifact={"id": artifact})
            nodes.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": nodes}}}

    def on_CommitArtifact(self, variables):
        return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}


@pytest.fixture
def server(monkeypatch):
    """The server, and an environment in which wandb talks to it and to nothing else."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "WANDB_BASE_URL": server.address,
        "WANDB_API_KEY": "a" * 40,
        "WANDB_ERROR_REPORTING": "false",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }.items():
        monkeypatch.setenv(name, value)
    for name in (
        "WANDB_SERVICE",
        "WANDB_MODE",
        "WANDB_PROJECT",
        "WANDB_ENTITY",
        "WANDB_DIR",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def set_threads():
    """`torch.set_num_threads` for the time of a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def stories(tmp_path_factory):
    """The words that make the quickstart of language models train on a few stories, in a sweep's command."""
    pytest.importorskip("s2s_lm.made_up", reason="s2s-lm is not installed")
    folder = tmp_path_factory.mktemp("stories")
    stand_ins.stories(folder, folder / "data")
    files = [f"--data.{split}={folder / 'data' / split}.arrow" for split in ("train", "validation", "test")]
    vocabulary = f"--model.init_args.tokenizer.init_args.vocab_file={folder / 'data' / 'vocab.txt'}"
    return ["--config", "quickstart", "--trainer.accelerator=cpu", vocabulary, *files]
