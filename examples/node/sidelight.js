// Sends lines to sidelight. One file to copy; only Node itself.
//
//   const { SidelightStream } = require('./sidelight');
//   const copy = new SidelightStream();          // a Writable for pino, morgan, winston, bunyan
//
// or a transport of pino: pino.transport({ target: './sidelight.js' }). It never waits, never emits `error` and never
// keeps the process alive. What sidelight does not take is dropped, whole lines. `dropped` counts the lines of which it is
// not known that they reached the socket: it may count a line that did, and never misses one.
'use strict';

const net = require('node:net');
const path = require('node:path');
const { Writable } = require('node:stream');

// limit of the bytes that wait in memory; more is dropped
const WAITING_BYTES_MAX = 256 * 1024;
// time between two attempts to connect
const RETRY_MS = 1000;
// how long the end of the process waits for bytes that are still in memory
const LAST_LINES_MS = 500;

// SIDELIGHT_SOCKET, or else sidelight's default and the two directories it falls back to
function paths() {
  if (process.env.SIDELIGHT_SOCKET) return [process.env.SIDELIGHT_SOCKET];
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    '/run/sidelight/log.sock',
    ...(runtime ? [path.join(runtime, 'log.sock')] : []),
    `/tmp/sidelight-${process.geteuid()}/log.sock`,
  ];
}

function countLines(bytes) {
  return bytes.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}

class SidelightStream extends Writable {
  constructor(options = {}) {
    super({ decodeStrings: true });
    this.dropped = 0;
    this._paths = options.path ? [options.path] : paths();
    this._rest = Buffer.alloc(0); // the beginning of a line
    this._isSkipping = false; // the beginning of this line was longer than the limit and is dropped
    this._socket = null;
    this._hasWarned = false;
    this._connect(0);
    process.on('beforeExit', () => this._flush(() => {}));
  }

  _connect(number) {
    const socket = net.connect(this._paths[number]);
    socket.unref();
    let isConnected = false;
    socket.on('connect', () => { isConnected = true; });
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => {
      this._socket = null;
      if (this.destroyed) return;
      if (!isConnected && number + 1 < this._paths.length) return this._connect(number + 1);
      if (!isConnected) this._warn();
      setTimeout(() => this._connect(0), RETRY_MS).unref();
    });
    socket.resume(); // sidelight sends nothing; its end of the connection is seen
    this._socket = socket;
  }

  _warn() {
    if (this._hasWarned) return;
    this._hasWarned = true;
    const where = this._paths.join(' or ');
    process.stderr.write(`sidelight does not listen at ${where}: no log line is copied until it does\n`);
  }

  _write(chunk, _encoding, done) {
    let bytes = this._rest.length ? Buffer.concat([this._rest, chunk]) : chunk;
    if (this._isSkipping) {
      const next = bytes.indexOf(10) + 1;
      this._isSkipping = next === 0;
      bytes = bytes.subarray(next || bytes.length);
    }
    const end = bytes.lastIndexOf(10) + 1;
    this._rest = Buffer.from(bytes.subarray(end));
    if (this._rest.length > WAITING_BYTES_MAX) {
      this._rest = Buffer.alloc(0);
      this._isSkipping = true;
      this.dropped += 1;
    }
    if (end > 0) this._send(bytes.subarray(0, end));
    done();
  }

  _send(lines) {
    const socket = this._socket;
    if (socket && socket.writable && socket.writableLength + lines.length <= WAITING_BYTES_MAX) {
      // a connection that closes calls this for what still waits in memory
      socket.write(Buffer.from(lines), (error) => {
        if (error || socket.destroyed) this.dropped += countLines(lines);
      });
    } else {
      this.dropped += countLines(lines);
    }
  }

  // Waits a moment for what is still in memory.
  _flush(done) {
    const socket = this._socket;
    if (!socket || socket.writableLength === 0) return done();
    socket.ref();
    const timer = setTimeout(() => socket.destroy(), LAST_LINES_MS);
    let hasEnded = false;
    const ended = () => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      socket.unref();
      done();
    };
    socket.once('close', ended);
    socket.write('', ended); // called after the writes before it
  }

  _final(done) {
    if (this._rest.length) this._send(Buffer.concat([this._rest, Buffer.from('\n')])); // the stream ended without one
    this._rest = Buffer.alloc(0);
    this._flush(done);
  }

  _destroy(error, done) {
    if (this._socket) this._socket.destroy();
    done(error);
  }
}

// pino calls this in its worker thread
module.exports = (options) => new SidelightStream(options);
module.exports.SidelightStream = SidelightStream;
