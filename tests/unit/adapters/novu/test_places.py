"""Places: how many at once, and who is next."""

import asyncio

from xnovu.adapters.novu.places import IN_A_ROW, Places


async def waiting(places: Places, served: list[str], *names: str) -> list[asyncio.Task[None]]:
    """Tasks that wait for a place in this order; the express ones say so."""

    async def wait(name: str) -> None:
        await places.acquire(express=name.startswith("express"))
        served.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_express_goes_first_but_the_others_have_their_turn() -> None:
    places, served = Places(1), list[str]()
    await places.acquire()
    express = [f"express {n}" for n in range(2 * IN_A_ROW)]
    tasks = await waiting(places, served, "one", "two", *express)
    for _ in tasks:
        places.release()
    await asyncio.gather(*tasks)
    assert served == [*express[:IN_A_ROW], "one", *express[IN_A_ROW:], "two"]


async def test_there_are_so_many_places_and_who_leaves_gives_none_away() -> None:
    places, served = Places(2), list[str]()
    tasks = await waiting(places, served, "one", "two", "three", "four", "five")
    assert served == ["one", "two"]
    tasks[2].cancel()
    places.release()
    places.release()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == ["one", "two", "four", "five"]


async def test_a_place_that_comes_as_one_leaves_is_the_next_ones() -> None:
    places, served = Places(1), list[str]()
    await places.acquire()
    tasks = await waiting(places, served, "one", "two")
    places.release()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == ["two"]
    places.release()
    await places.acquire()
