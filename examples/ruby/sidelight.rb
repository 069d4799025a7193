# Sends lines to sidelight: a device for Logger. One file to copy; only the standard library.
require "socket"

# Never waits and never raises; what sidelight does not take is dropped. Reconnects by itself.
class Sidelight
  RETRY_SECONDS = 1.0

  attr_reader :dropped

  def initialize(path = nil)
    @paths = path ? [path] : Sidelight.paths
    @mutex = Mutex.new
    @retry_at = 0.0
    @dropped = 0
  end

  # SIDELIGHT_SOCKET, or else the default and the two directories that sidelight falls back to.
  def self.paths
    named = ENV["SIDELIGHT_SOCKET"].to_s
    return [named] unless named.empty?

    runtime = ENV["XDG_RUNTIME_DIR"]
    ["/run/sidelight/log.sock", *(runtime && File.join(runtime, "log.sock")),
     "/tmp/sidelight-#{Process.euid}/log.sock"]
  end

  def write(line)
    @mutex.synchronize { @dropped += 1 unless send_line(line) }
    line.bytesize
  end

  def close
    @socket&.close
    @socket = nil
  end

  private

  def send_line(line)
    2.times do # on a new connection, if sidelight was restarted in between
      return false unless @socket || connect

      sent = @socket.write_nonblock(line, exception: false)
      return false if sent == :wait_writable
      return true if sent == line.bytesize

      close # the rest of this line must not become the head of the next
      return false
    rescue SystemCallError, IOError
      close
    end
    false
  end

  def connect
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    return false if now < @retry_at

    @retry_at = now + RETRY_SECONDS
    return true if @paths.any? { |path| connect_to(path) }

    warn "sidelight does not listen at #{@paths.join(' or ')}: no log line is copied until it does" unless @has_warned
    @has_warned = true
    false
  end

  # UNIXSocket.new waits in old versions of Ruby while the backlog of a sidelight that hangs is full.
  def connect_to(path)
    socket = Socket.new(:UNIX, :STREAM)
    socket.connect_nonblock(Socket.sockaddr_un(path))
    @socket = socket
  rescue SystemCallError, ArgumentError
    socket&.close
    nil
  end
end
