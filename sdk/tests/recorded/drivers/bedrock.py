"""AWS's library for Bedrock."""

import json
from typing import Any

import boto3  # type: ignore[import-untyped]

from sdk.tests.recorded.drivers.driver import Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, path_of, provider_of

_QUESTION = [{"role": "user", "content": [{"text": "Hello!"}]}]


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "bedrock"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, _asynchronous: bool) -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=address,
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    model = model_of(exchange)
    operation = path_of(exchange).rpartition("/")[2]
    if operation.startswith("converse"):
        method = client.converse_stream if operation == "converse-stream" else client.converse
        return method(modelId=model, messages=_QUESTION)
    body = json.dumps({"inputText": "Hello!"})
    if operation == "invoke":
        return client.invoke_model(modelId=model, body=body)
    return client.invoke_model_with_response_stream(modelId=model, body=body)


DRIVER = Driver("boto3", receives, address, connect, call, asynchronous=False)
