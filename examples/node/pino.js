// pino and pino-http: one line a request, to standard output and to sidelight.
'use strict';

const http = require('node:http');
const pino = require('pino');
const pinoHttp = require('pino-http');
const { SidelightStream } = require('./sidelight');

const streams = [{ stream: process.stdout }, { stream: new SidelightStream() }];
const logger = pino({}, pino.multistream(streams));

const logRequest = pinoHttp({ logger });
const server = http.createServer((request, response) => {
  logRequest(request, response);
  response.end('hello\n');
});
server.listen(process.env.PORT || 8080, '127.0.0.1');
