"""An app that writes down what its host does to it, and lets a test wait for that."""

import asyncio
import base64
import json
import os

import azure.functions as func
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

app = func.FunctionApp()

STORAGE = "AzureWebJobsStorage"

journal: dict[str, list[dict[str, object]]] = {}
changed = asyncio.Condition()
permits = asyncio.Semaphore(0)
loop: asyncio.AbstractEventLoop
running = 0
most_running = 0


async def note(function: str, **entry: object) -> None:
    async with changed:
        journal.setdefault(function, []).append(entry)
        changed.notify_all()


def answer(value: object) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(value), mimetype="application/json")


@app.route("journal/{function}", methods=["GET"])
async def read_journal(req: func.HttpRequest) -> func.HttpResponse:
    """Answers when the function has written so many entries."""
    entries = journal.setdefault(req.route_params["function"], [])
    async with changed:
        await changed.wait_for(lambda: len(entries) >= int(req.params["atLeast"]))
    return answer(entries)


@app.queue_trigger("msg", "%PREFIX%-work", STORAGE)
async def work(msg: func.QueueMessage) -> None:
    text = msg.get_body().decode()
    assert msg.insertion_time < msg.expiration_time
    assert msg.time_next_visible > msg.insertion_time
    await note("work", text=text, deliveries=msg.dequeue_count, id=msg.id, receipt=bool(msg.pop_receipt))
    if text.startswith("fail"):
        raise RuntimeError(f"{text} as told")
    if text == "fragile" and msg.dequeue_count < 3:
        raise RuntimeError("not yet")


@app.queue_trigger("msg", "%PREFIX%-work-poison", STORAGE)
async def buried(msg: func.QueueMessage) -> None:
    text = msg.get_body().decode()
    await note("buried", text=text, deliveries=msg.dequeue_count)
    if text == "fail twice":
        raise RuntimeError("cannot be buried")


@app.queue_trigger("msg", "%PREFIX%-gated", STORAGE)
async def gated(msg: func.QueueMessage) -> None:
    global running, most_running
    running += 1
    most_running = max(most_running, running)
    await note("gated", text=msg.get_body().decode(), running=running)
    await permits.acquire()
    running -= 1


@app.route("permits/{count}", methods=["POST"])
def permit(req: func.HttpRequest) -> func.HttpResponse:
    for _ in range(int(req.route_params["count"])):
        loop.call_soon_threadsafe(permits.release)
    return answer({"mostRunning": most_running})


@app.queue_trigger("msg", "%PREFIX%-later", STORAGE)
async def later(msg: func.QueueMessage) -> None:
    """Sends itself again three times, as work that waits for its slot does."""
    envelope = json.loads(msg.get_body())
    await note("later", attempt=envelope["attempt"], deliveries=msg.dequeue_count)
    if envelope["attempt"] < 4:
        name = f"{os.environ['PREFIX']}-later"
        encode = TextBase64EncodePolicy()
        async with QueueClient.from_connection_string(os.environ[STORAGE], name, message_encode_policy=encode) as queue:
            await queue.send_message(json.dumps({"attempt": envelope["attempt"] + 1}), visibility_timeout=1)


@app.timer_trigger("timer", "%TICK%")
async def tick(timer: func.TimerRequest) -> None:
    await note("tick", past_due=timer.past_due, last=timer.schedule_status["Last"], next=timer.schedule_status["Next"])


@app.timer_trigger("timer", "0 0 0 1 1 *", run_on_startup=True)
async def starting(timer: func.TimerRequest) -> None:
    global loop
    loop = asyncio.get_running_loop()
    await note("starting", past_due=timer.past_due)


@app.route("echo/{name}/{tail?}", methods=["PUT", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return answer(
        {
            "method": req.method,
            "url": req.url,
            "headers": dict(req.headers),
            "query": dict(req.params),
            "params": dict(req.route_params),
            "body": base64.b64encode(req.get_body()).decode(),
        }
    )


@app.route("echo/literal", methods=["POST"])
async def literal(req: func.HttpRequest) -> str:
    return "the literal route"


@app.route("raw")
async def raw(req: func.HttpRequest) -> func.HttpResponse:
    headers = {"X-Seen": "yes", "Set-Cookie": "crumb=1; Path=/api; HttpOnly; SameSite=Lax"}
    return func.HttpResponse(req.get_body(), status_code=201, headers=headers, mimetype="application/octet-stream")


@app.route("boom")
async def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret of the app")


@app.route("trace")
async def trace(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return answer({"parent": context.trace_context.Traceparent, "state": context.trace_context.Tracestate})
