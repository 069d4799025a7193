// Fastify with its default logging: two lines a request, which sidelight joins by `reqId`.
'use strict';

const pino = require('pino');
const { SidelightStream } = require('./sidelight');

const streams = [{ stream: process.stdout }, { stream: new SidelightStream() }];
const fastify = require('fastify')({ logger: { stream: pino.multistream(streams) } });

fastify.get('/users/:id', async () => 'hello\n');
fastify.get('/broken', async () => { throw new TypeError('no such cart'); });
fastify.listen({ port: Number(process.env.PORT || 8080), host: '127.0.0.1' });
