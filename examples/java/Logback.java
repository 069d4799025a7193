// Reads paths from standard input, one a line, and logs a request for each with SLF4J and logback.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.slf4j.LoggerFactory;

public class Logback {
    public static void main(String[] arguments) throws Exception {
        var log = LoggerFactory.getLogger("shop");
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String path = input.readLine(); path != null; path = input.readLine()) {
            log.atInfo().addKeyValue("method", "GET").addKeyValue("path", path).addKeyValue("status", 200)
                .addKeyValue("duration_ms", 3.5).log("request");
        }
    }
}
