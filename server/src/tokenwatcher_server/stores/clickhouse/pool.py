"""The driver's HTTP connections, and answers that are known to be whole."""

from typing import Any

from clickhouse_connect.driver.httputil import get_pool_manager_options
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import ProtocolError


class WholeAnswers(PoolManager):
    """Takes an answer that doesn't say how long it is for one that was cut in its head.

    Python reads such a head as a whole one before an empty body, and an empty body is how ClickHouse
    says that it found nothing.
    """

    def __init__(self) -> None:
        super().__init__(**get_pool_manager_options())

    def request(self, method: str, url: str, *given: Any, **options: Any) -> BaseHTTPResponse:
        answer = super().request(method, url, *given, **options)
        told = answer.headers.get("content-length") or answer.headers.get("transfer-encoding")
        if not told:
            answer.close()
            raise ProtocolError("the answer breaks off in its head") from ConnectionResetError()
        return answer
