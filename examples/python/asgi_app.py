"""FastAPI under uvicorn: uvicorn asgi_app:app --log-config uvicorn.json"""

from fastapi import FastAPI

app = FastAPI()


@app.get("/users/{number}")
async def user(number: int):
    """Answers every request."""
    return {"user": number}
