#!/usr/bin/env python3
"""names.py ADDRESS NAME=IP...: a name server on port 53 of ADDRESS that knows these names and no others."""

import socket
import sys

known = {name: socket.inet_aton(address) for name, address in (pair.split("=") for pair in sys.argv[2:])}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    query, asker = server.recvfrom(512)
    # RFC 1035 section 4.1: twelve bytes of header, the name in labels, two bytes of type and two of class.
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12 : at + 5]
    address = known.get(".".join(labels).lower())
    is_about_ipv4 = question[-4:-2] == b"\0\1"
    # A pointer to the name, type A, class IN, five seconds, four bytes.
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + address if address and is_about_ipv4 else b""
    flags = bytes([0x84 | query[2] & 1, 0x80 if address else 0x83])
    counts = b"\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
    server.sendto(query[:2] + flags + counts + question + answer, asker)
