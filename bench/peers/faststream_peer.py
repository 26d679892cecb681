"""FastStream's Redis stream subscriber, in the manner of turn.mjs.

Its fastest settings that keep its promise: batches of 500 read by a consumer group and acknowledged after the handler,
messages published through a pipeline, hiredis to parse and uvloop as the loop, nothing logged.
"""

import asyncio
import json
import os
import sys
import threading
import time

import uvloop
from faststream.redis import RedisBroker, StreamSub

producing = sys.argv[1] == "produce"
options = json.loads(sys.argv[2])
broker = RedisBroker(f"redis://127.0.0.1:{options['port']}", logger=None)


def payload(number: int) -> dict:
    return {"timestamp_producer": int(time.time()), "payload": {"package": number}}


async def ready() -> None:
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    threading.Thread(target=end_with_input, daemon=True).start()


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


async def produce() -> None:
    await broker.connect()
    await ready()
    total, bulk = options["total"], options["bulk"]
    for first in range(1, total + 1, bulk):
        async with broker._connection.pipeline(transaction=False) as pipeline:
            for number in range(first, min(first + bulk, total + 1)):
                await broker.publish(payload(number), stream=options["queue"], pipeline=pipeline)
            await pipeline.execute()


async def consume() -> None:
    stream = StreamSub(options["queue"], group="g", consumer=str(os.getpid()), batch=True, max_records=500)

    @broker.subscriber(stream=stream)
    async def handler(messages: list[dict]) -> None:
        pass

    await broker.connect()
    await ready()
    await broker.start()
    await asyncio.Event().wait()


uvloop.run(produce() if producing else consume())
