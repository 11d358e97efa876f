"""A service of gRPC. Says its port on standard output, then a line for each thing that happened: `done ID` for a write,
`cancelled ID` for a call whose client left. Usage: server.py NAME"""

import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "test.Shop"
SLOW_S = 20
speaking = threading.Lock()


def say(*words):
    # print() writes word by word: two threads at once would mix their lines.
    with speaking:
        print(*words, flush=True)


class Shop:
    def __init__(self, name):
        self.name = name.encode()

    def _answer(self, request, context):
        context.set_trailing_metadata((("x-server", self.name.decode()),))
        return self.name + b" " + request

    def get(self, request, context):
        return self._answer(request, context)

    def write(self, request, context):
        say("done", request.decode())
        return self._answer(request, context)

    def count(self, request, context):
        """As many answers as it was asked for, a little apart."""
        for i in range(int(request)):
            yield str(i).encode()
            time.sleep(0.002)

    def chat(self, requests, context):
        """Each word is answered before the next is said."""
        for request in requests:
            yield b"re: " + request

    def total(self, requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def refuse(self, request, context):
        context.set_trailing_metadata((("x-reason", "an old one"), ("x-bin-bin", b"\x00\xff")))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100 % sure, Zoë")

    def slow(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        say("begun", request.decode())
        if gone.wait(SLOW_S):
            say("cancelled", request.decode())
        return b"late"


def serve(name):
    shop = Shop(name)
    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(shop.get),
        "Write": grpc.unary_unary_rpc_method_handler(shop.write),
        "Count": grpc.unary_stream_rpc_method_handler(shop.count),
        "Chat": grpc.stream_stream_rpc_method_handler(shop.chat),
        "Total": grpc.stream_unary_rpc_method_handler(shop.total),
        "Refuse": grpc.unary_unary_rpc_method_handler(shop.refuse),
        "Slow": grpc.unary_unary_rpc_method_handler(shop.slow),
    }
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port)
    # The test closes it.
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    serve(sys.argv[1])
