# check: inference {}
import asyncio


async def fetch():
    return 1


def model_fn(model_dir):
    return asyncio.run(fetch)
