"""An agent that plays a list of acts over the Agent Client Protocol, with the Python that every sandbox shows.

It runs inside: `python3 actor.py ACTS`. Where it is in its acts it keeps in its home, as real agents keep their sessions,
so it goes on there when it is started again and its session is loaded. A prompt lasts until an act says that it ends.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ACTS = json.loads(sys.argv[1])
HOME = os.path.expanduser("~/.actor")
KEPT = os.path.join(HOME, "session.json")
URL = "http://127.0.0.1:3128/v1/chat/completions"

cancelled = threading.Event()
answers: dict = {}
lock = threading.Lock()


def kept() -> dict:
    try:
        with open(KEPT, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"at": 0, "prompts": []}


def keep(session: dict) -> None:
    os.makedirs(HOME, exist_ok=True)
    with open(KEPT + ".new", "w", encoding="utf-8") as file:
        json.dump(session, file)
    os.rename(KEPT + ".new", KEPT)


def say(message: dict) -> None:
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def update(kind_: str, **fields: object) -> None:
    say({"method": "session/update", "params": {"sessionId": "s", "update": {"sessionUpdate": kind_, **fields}}})


def ask_model(session: dict, act: dict) -> str:
    """What the model says, or how it refuses."""
    body = {
        "model": "whatever",
        "stream": act.get("stream", True),
        "messages": [{"role": "user", "content": "x" * act.get("size", 40)}],
        **act.get("more", {}),
    }
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("MODEL_KEY", "")}
    request = urllib.request.Request(URL, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"no answer: {error}"


def call(number: int, command: str) -> None:
    update("tool_call", toolCallId=f"c{number}", title=command, kind="execute", rawInput={"command": command})
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=os.getcwd(), check=False)
    text = {"type": "content", "content": {"type": "text", "text": done.stdout + done.stderr}}
    status = "failed" if done.returncode else "completed"
    update("tool_call_update", toolCallId=f"c{number}", status=status, content=[text])


def act_out(number: int, session: dict, ends: list) -> None:
    """Play one act; it puts the end of the prompt into *ends* if it is one."""
    act = ACTS[number]
    if "say" in act:
        update("agent_message_chunk", content={"type": "text", "text": act["say"]})
    if "call" in act:
        call(number, act["call"])
    if "ask" in act:
        said = ask_model(session, act["ask"])
        with open(os.path.join(HOME, "said"), "a", encoding="utf-8") as file:
            file.write(said + "\n")
        if act["ask"].get("tell"):
            update("agent_message_chunk", content={"type": "text", "text": said})
        if act["ask"].get("fails") and not said.startswith("data:"):
            ends.append({"error": {"code": -32603, "message": f"the model failed: {said[:100]}"}})
    if "raw" in act:
        with lock:
            sys.stdout.write(act["raw"])
            sys.stdout.flush()
    if act.get("hang"):
        cancelled.wait(3600)
    if "exit" in act and not os.path.exists(os.path.join(HOME, f"exited-{number}")):
        print(act.get("last words", ""), file=sys.stderr)
        if act["exit"] != "always":
            os.makedirs("/tmp/x", exist_ok=True)
        os._exit(7)
    if "stop" in act:
        ends.append({"result": {"stopReason": act["stop"]}})


def prompt(number: object, params: dict) -> None:
    cancelled.clear()
    session = kept()
    session["prompts"].append(params["prompt"][0]["text"])
    keep(session)
    ends: list = []
    while not ends and not cancelled.is_set():
        if session["at"] >= len(ACTS):
            ends.append({"result": {"stopReason": "end_turn"}})
            break
        session["at"] += 1
        if "ask" not in ACTS[session["at"] - 1]:  # whoever has no answer asks again
            keep(session)
        act_out(session["at"] - 1, session, ends)
        keep(session)
    say({"id": number, **(ends[0] if ends else {"result": {"stopReason": "cancelled"}})})


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            loads = "--forgets" not in sys.argv
            say({"id": number, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": loads}}})
        elif method in {"session/new", "session/load"}:
            if method == "session/load":
                update("agent_message_chunk", content={"type": "text", "text": "what was said before"})
            say({"id": number, "result": {"sessionId": "s"}})
        elif method == "session/prompt":
            threading.Thread(target=prompt, args=(number, message["params"]), daemon=True).start()
        elif method == "session/cancel":
            cancelled.set()
        elif number is not None and method:
            say({"id": number, "result": {}})


if "--slow" in sys.argv:
    time.sleep(3600)
main()
