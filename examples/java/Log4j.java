// Reads paths from standard input, one a line, and logs a request for each with log4j2.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.logging.log4j.LogManager;

public class Log4j {
    public static void main(String[] arguments) throws Exception {
        var log = LogManager.getLogger("shop");
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String path = input.readLine(); path != null; path = input.readLine()) {
            log.info("GET {} 200 3.5 ms", path);
        }
    }
}
