"""One driver for each provider's library; to add one, write its file and list it here."""

from sdk.tests.recorded.drivers import (
    anthropic,
    bedrock,
    cohere,
    google,
    groq,
    mistral,
    ollama,
    openai,
)
from sdk.tests.recorded.drivers.driver import Driver

DRIVERS: tuple[Driver, ...] = (
    openai.DRIVER,
    anthropic.DRIVER,
    google.DRIVER,
    bedrock.DRIVER,
    mistral.DRIVER,
    cohere.DRIVER,
    groq.DRIVER,
    ollama.DRIVER,
)
