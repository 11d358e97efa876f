"""Calls through the gateway. Usage: client.py ADDRESS CASE; the cases are functions below. Ends with 0 if all was as it
must be; says what happened, one JSON object, as its last line. Reads lines from standard input where a case waits for
the test."""

import json
import sys
import threading
import time

import grpc

SERVICE = "/test.Shop/"
Code = grpc.StatusCode


class Calls:
    def __init__(self, address):
        # What the gateway says is what the application gets: nothing is sent again behind its back.
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)])
        grpc.channel_ready_future(self.channel).result(20)
        self.get, self.write, self.refuse, self.slow = (self.channel.unary_unary(SERVICE + name)
                                                        for name in ("Get", "Write", "Refuse", "Slow"))
        self.count = self.channel.unary_stream(SERVICE + "Count")
        self.chat = self.channel.stream_stream(SERVICE + "Chat")
        self.total = self.channel.stream_unary(SERVICE + "Total")


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


def talk(calls, words, timeout=60):
    """Says a word only once the one before was answered."""
    turn = threading.Semaphore(1)

    def say():
        for word in words:
            turn.acquire()
            yield word

    heard = []
    for answer in calls.chat(say(), timeout=timeout):
        heard.append(answer)
        turn.release()
    expect(heard == [b"re: " + word for word in words], heard)


def kinds(address):
    """Each kind of call once."""
    calls = Calls(address)
    answer, call = calls.get.with_call(b"x" * 100, timeout=20, metadata=(("x-mine", "1"),))
    expect(answer.endswith(b"x" * 100), answer)
    expect(("x-server", answer.split()[0].decode()) in call.trailing_metadata(), call.trailing_metadata())
    big = b"y" * 3_000_000
    expect(calls.get(big, timeout=60).endswith(big), "a long answer")
    expect(list(calls.count(b"50", timeout=20)) == [str(i).encode() for i in range(50)], "a stream of answers")
    expect(calls.total((b"z" * 10_000 for _ in range(50)), timeout=60) == b"500000", "a stream of requests")
    talk(calls, [f"word {i}".encode() for i in range(20)])
    return {}


def errors(address):
    """Statuses arrive as the service gave them, with their details and trailers."""
    calls = Calls(address)
    try:
        calls.refuse(b"", timeout=20)
        raise AssertionError("no error came")
    except grpc.RpcError as error:
        expect(error.code() == Code.FAILED_PRECONDITION, error)
        expect(error.details() == "not now: 100 % sure, Zoë", error.details())
        trailers = dict(error.trailing_metadata())
        expect(trailers["x-reason"] == "an old one" and trailers["x-bin-bin"] == b"\x00\xff", trailers)
    try:
        calls.channel.unary_unary(SERVICE + "Nothing")(b"", timeout=20)
        raise AssertionError("no error came")
    except grpc.RpcError as error:
        expect(error.code() == Code.UNIMPLEMENTED, error)
    return {}


def deadline(address):
    calls = Calls(address)
    try:
        calls.slow(b"deadline", timeout=0.5)
        raise AssertionError("no error came")
    except grpc.RpcError as error:
        expect(error.code() == Code.DEADLINE_EXCEEDED, error)
    return {}


def one(address, method="get"):
    """What one call comes to."""
    calls = Calls(address)
    print("ready", flush=True)
    try:
        getattr(calls, method)(b"one", timeout=30)
        return {"code": "OK"}
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}


def load(address):
    """Calls of every kind, without a pause, until the test closes standard input."""
    stop = threading.Event()
    failures, done, lock = [], {"get": 0, "write": 0, "count": 0, "chat": 0}, threading.Lock()
    writes, servers = [], set()

    def repeat(kind, worker, once):
        calls, n = Calls(address), 0
        while not stop.is_set():
            n += 1
            try:
                once(calls, f"{worker}-{n}".encode())
                with lock:
                    done[kind] += 1
            except (grpc.RpcError, AssertionError) as error:
                with lock:
                    failures.append(f"{kind}: {error!r}"[:500])

    def write(calls, name):
        server = calls.write(name, timeout=60).split()[0].decode()
        with lock:
            writes.append(name.decode())
            servers.add(server)

    def count(calls, name):
        expect(list(calls.count(b"20", timeout=60)) == [str(i).encode() for i in range(20)], name)

    cases = {"get": lambda calls, name: calls.get(name, timeout=60), "write": write, "count": count,
             "chat": lambda calls, name: talk(calls, [name] * 5)}
    threads = [threading.Thread(target=repeat, args=(kind, f"{kind}{i}", once))
               for kind, once in cases.items() for i in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0)
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    return {"failures": failures, "done": done, "writes": writes, "servers": sorted(servers)}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])), flush=True)
