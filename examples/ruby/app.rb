# Reads paths from standard input, one a line, and logs a request for each: to standard output and to sidelight.
require "json"
require "logger"
require "time"
require_relative "sidelight"

# Both devices get every line.
class Both
  def initialize(*devices) = @devices = devices
  def write(line) = @devices.each { |device| device.write(line) }
  def close = nil
end

$stdout.sync = true
logger = Logger.new(Both.new($stdout, Sidelight.new))
logger.formatter = proc do |level, time, _, fields|
  JSON.generate({ time: time.utc.iso8601(3), level: level }.merge(fields)) + "\n"
end

$stdin.each_line(chomp: true) do |path|
  logger.info({ message: "request", method: "GET", path: path, status: 200, duration_ms: 3.5 })
end
