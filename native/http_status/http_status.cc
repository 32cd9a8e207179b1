// Copyright 2026 the xsched-triton authors.
// SPDX-License-Identifier: Apache-2.0
//
// http-status ADDRESS PORT PATH: prints the first line of an HTTP server's
// answer to a GET. Exit code 1 if nobody listens, 2 without an answer within
// 5 s. The health check uses it, so as not to depend on programs of the base
// image.

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

// A connected socket whose calls time out; -1 if nobody listens.
int
Connect(const char* address, const char* port)
{
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address, port, &hints, &found) != 0) {
    return -1;
  }
  int connection = -1;
  for (addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const timeval limit = {5, 0};
    connection = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    // Also limits connect.
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(connection, one->ai_addr, one->ai_addrlen) == 0) {
      break;
    }
    close(connection);
    connection = -1;
  }
  freeaddrinfo(found);
  return connection;
}

}  // namespace

int
main(int argc, char** argv)
{
  if (argc != 4) {
    fputs("usage: http-status ADDRESS PORT PATH\n", stderr);
    return 64;
  }
  const int connection = Connect(argv[1], argv[2]);
  if (connection < 0) {
    return 1;
  }
  const std::string request = std::string("GET ") + argv[3] +
                              " HTTP/1.1\r\nHost: " + argv[1] +
                              "\r\nConnection: close\r\n\r\n";
  send(connection, request.data(), request.size(), MSG_NOSIGNAL);
  // A byte at a time: the line is short, and the rest does not matter.
  std::string line;
  char byte = 0;
  while (line.size() < 200 && recv(connection, &byte, 1, 0) == 1 &&
         byte != '\r' && byte != '\n') {
    line += byte;
  }
  if (byte != '\r' && byte != '\n') {
    return 2;
  }
  puts(line.c_str());
  return 0;
}
