"""An agent of your own: `python examples/agents/weather.py` joins the mesh at MOTET_NATS_URL.

The weather is made up, and the same for a city every time.
"""

from __future__ import annotations

from zlib import crc32

from motet.agent import Agent, Call
from motet.messages import Message


class City(Message):
    """Where."""

    city: str


class Weather(Message):
    """What it is like there."""

    city: str
    sky: str
    celsius: int


agent = Agent("weather", description="Current weather by city. Made up.")


@agent.skill("now", description="Temperature and sky for a city.")
async def now(request: City, call: Call) -> Weather:
    await call.event(f"looking out of the window in {request.city}")
    chance = crc32(request.city.lower().encode())
    sky = ("clear", "cloudy", "rainy", "snowy")[chance % 4]
    return Weather(city=request.city, sky=sky, celsius=chance // 4 % 35 - 5)


if __name__ == "__main__":
    agent.run()
