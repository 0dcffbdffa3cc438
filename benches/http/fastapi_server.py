"""The same answer as FastAPI with fastapi-memory gives it."""

from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_memory import FmCacheManager, FmMemoryBackend, memorize


@asynccontextmanager
async def lifespan(app):
    FmCacheManager.init(FmMemoryBackend(), prefix="bench")
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/user")
@memorize(expire=3600)
async def user():
    notes = [
        {"at": at, "text": f"the note of {at} says a little more than nothing", "done": at % 2 == 0}
        for at in range(1_700_000_000, 1_700_000_010)
    ]
    return {"id": 7, "name": "Ann Example", "roles": ["admin", "editor", "reader"], "notes": notes}
