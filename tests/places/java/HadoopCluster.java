import java.io.File;
import java.io.FileOutputStream;
import java.io.OutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;

/**
 * HDFS and YARN in one process, for as long as its standard input is open: arguments are a folder for
 * everything that they write, and the class path of containers. The folder's conf/ is for HADOOP_CONF_DIR.
 */
public final class HadoopCluster {
    private static final int NODE_MANAGERS = 2;

    public static void main(String[] arguments) throws Exception {
        File home = new File(arguments[0]);
        // MiniYARNCluster writes below this folder, not below the current one.
        System.setProperty("test.build.data", new File(home, "yarn").getPath());
        Configuration settings = settings(home, arguments[1]);
        MiniDFSCluster files = new MiniDFSCluster.Builder(settings, new File(home, "hdfs")).numDataNodes(1).build();
        files.waitActive();
        MiniYARNCluster nodes = new MiniYARNCluster("cymbal", NODE_MANAGERS, 1, 1);
        nodes.init(settings);
        nodes.start();
        if (!nodes.waitForNodeManagersToConnect(60000L)) {
            throw new IllegalStateException("node managers do not come up");
        }
        write(nodes.getConfig(), files, new File(home, "conf"));
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
        // To stop them in order takes half a minute, for files that nobody wants any more.
        Runtime.getRuntime().halt(0);
    }

    private static Configuration settings(File home, String classPath) {
        Configuration settings = new YarnConfiguration();
        settings.set("hadoop.tmp.dir", new File(home, "tmp").getPath());
        settings.set("yarn.application.classpath", classPath);
        // Two executors, or an application master and one executor, to a node.
        settings.setInt("yarn.nodemanager.resource.memory-mb", 4096);
        settings.setInt("yarn.nodemanager.resource.cpu-vcores", 4);
        settings.setInt("yarn.scheduler.minimum-allocation-mb", 256);
        settings.setInt("yarn.scheduler.maximum-allocation-mb", 4096);
        settings.setInt("yarn.scheduler.maximum-allocation-vcores", 4);
        // The scheduler reads its queues from a file that is not here.
        settings.set("yarn.scheduler.capacity.root.queues", "default");
        settings.set("yarn.scheduler.capacity.root.default.capacity", "100");
        // Half of a queue for application masters: as set, a tenth, the second of two would wait for ever.
        settings.set("yarn.scheduler.capacity.maximum-am-resource-percent", "0.5");
        // A JVM maps far more than it uses; a full disk of this machine is not what is tested.
        settings.setBoolean("yarn.nodemanager.vmem-check-enabled", false);
        settings.setBoolean("yarn.nodemanager.pmem-check-enabled", false);
        settings.setBoolean("yarn.nodemanager.disk-health-checker.enable", false);
        // Logs of containers stay, for a test that failed to be looked into.
        settings.setInt("yarn.nodemanager.delete.debug-delay-sec", 600);
        return settings;
    }

    /** What clients need to find both, and no more: servers are set up with classes that only they have. */
    private static void write(Configuration running, MiniDFSCluster files, File folder) throws Exception {
        Configuration clients = new Configuration(false);
        clients.set("fs.defaultFS", files.getURI().toString());
        String[] names = {
            "yarn.resourcemanager.address",
            "yarn.resourcemanager.scheduler.address",
            "yarn.resourcemanager.webapp.address",
            "yarn.application.classpath"
        };
        for (int i = 0; i < names.length; i++) {
            clients.set(names[i], running.get(names[i]));
        }
        folder.mkdirs();
        String[] parts = {"core-site.xml", "yarn-site.xml"};
        for (int i = 0; i < parts.length; i++) {
            OutputStream out = new FileOutputStream(new File(folder, parts[i]));
            clients.writeXml(out);
            out.close();
        }
    }
}
