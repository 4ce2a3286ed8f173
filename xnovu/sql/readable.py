"""Waiting for what a database says, without looking."""

import asyncio


async def readable(descriptor: int) -> None:
    """Until this socket has something to read; psycopg itself looks ten times a second."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(descriptor)
