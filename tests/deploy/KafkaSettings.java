import java.io.StringReader;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Reads the variables of this process as the image of Apache Kafka does, by the image's own code, and lets the broker
 * check what comes out. Ends with 1 where a name is unknown or a value is refused.
 */
public class KafkaSettings {
    public static void main(String[] arguments) throws Exception {
        var variables = scala.collection.immutable.Map$.MODULE$.from(CollectionConverters.asScala(System.getenv()));
        var lines = kafka.docker.KafkaDockerWrapper$.MODULE$.getServerConfigsFromEnv(variables);
        var settings = new Properties();
        settings.load(new StringReader(String.join("\n", CollectionConverters.asJava(lines))));

        Set<Object> unknown = new TreeSet<>(settings.keySet());
        unknown.removeAll(AbstractKafkaConfig.CONFIG_DEF.names());
        if (!unknown.isEmpty()) {
            System.err.println("no settings of the broker: " + unknown);
            System.exit(1);
        }
        Uuid.fromString(System.getenv("CLUSTER_ID"));
        var config = new kafka.server.KafkaConfig(settings);
        System.out.println(settings.size() + " settings, node " + config.nodeId());
        System.exit(0);
    }
}
