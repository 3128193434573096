"""A client of Sequence/LiveStream, as EasyFlake for Python is one: an insecure
channel, and the messages as its generated code writes and reads them.

    client.py HOST:PORT BITS

prints a line for each reply, "number N", and in the end "end CODE".
"""

import sys

import grpc


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1  # a negative int32 has ten bytes
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def request(bits):
    return b"\x08" + varint(bits) if bits else b""


def reply(data):
    if not data:  # 0 is not written
        return 0
    if data[0] != 8:
        raise ValueError(data)
    n = shift = 0
    for i, byte in enumerate(data[1:]):
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if i + 2 != len(data):
                raise ValueError(data)
            return n
    raise ValueError(data)


def main():
    address, bits = sys.argv[1], int(sys.argv[2])
    channel = grpc.insecure_channel(address)
    stream = channel.unary_stream("/Sequence/LiveStream", request_serializer=request, response_deserializer=reply)
    try:
        for number in stream(bits):
            print("number", number, flush=True)
        print("end OK", flush=True)
    except grpc.RpcError as e:
        print("end", e.code().name, flush=True)


main()
