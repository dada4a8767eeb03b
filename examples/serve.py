"""A web service that streams names: `uvicorn serve:app` after `ARTIFACT=names`.

    curl 'localhost:8000/names?n=5&seed=1&wildcard=*lyn'

One sampler serves all requests: it is safe to use from several threads at once. Names are sent as
they are made, and a client that goes away ends the work before the next step.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import makemore
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

app = FastAPI()
sampler = makemore.load(os.environ.get("ARTIFACT", "names"))


@app.get("/names")
async def names(
    n: int = 10, seed: int | None = None, wildcard: str | None = None, novel: bool = False
) -> StreamingResponse:
    """N names, one a line."""
    if n > 100_000:
        raise HTTPException(422, f"n is {n}; it must be <= 100000")
    try:
        stream = sampler.astream(n, seed=seed, wildcard=wildcard, novel=novel)
    except makemore.OptionError as error:
        raise HTTPException(422, str(error)) from None

    async def lines() -> AsyncIterator[str]:
        async with stream:
            async for name in stream:
                yield f"{name}\n"

    return StreamingResponse(lines(), media_type="text/plain; charset=utf-8")
