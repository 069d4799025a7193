// Writes the same four records with one of the usual loggers of Node: node loggers.js NAME.
// Libraries are found through NODE_PATH.
"use strict";

const failure = () => {
  try {
    throw new TypeError("no stock");
  } catch (error) {
    return error;
  }
};

const loggers = {
  pino() {
    const logger = require("pino")({ name: "shop.orders" });
    logger.info("order placed");
    logger.warn("stock is low");
    logger.error(failure(), "order failed");
    logger.info("level ERROR is a word of this message");
  },
  pino_labels() {
    const pino = require("pino");
    const logger = pino({
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    });
    logger.info("order placed");
    logger.warn("stock is low");
    logger.error({ err: failure() }, "order failed");
    logger.info("level ERROR is a word of this message");
  },
  winston() {
    const { createLogger, format, transports } = require("winston");
    const logger = createLogger({
      format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
      transports: [new transports.Console()],
    });
    logger.info("order placed");
    logger.warn("stock is low");
    logger.error(failure());
    logger.info("level ERROR is a word of this message");
  },
  bunyan() {
    const logger = require("bunyan").createLogger({ name: "shop.orders" });
    logger.info("order placed");
    logger.warn("stock is low");
    logger.error(failure(), "order failed");
    logger.info("level ERROR is a word of this message");
  },
  log4js() {
    const log4js = require("log4js");
    log4js.configure({
      appenders: { out: { type: "stdout", layout: { type: "basic" } } },
      categories: { default: { appenders: ["out"], level: "debug" } },
    });
    const logger = log4js.getLogger("shop.orders");
    logger.info("order placed");
    logger.warn("stock is low");
    logger.error("order failed", failure());
    logger.info("level ERROR is a word of this message");
  },
};

loggers[process.argv[2]]();
