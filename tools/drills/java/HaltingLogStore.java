package cymbal.drill;

import io.delta.storage.HDFSLogStore;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Kills the driver right before or right after it commits to the table that cymbal.fault.halt names.
 * before:silver/sales:1 means the first commit of the process to that table, not counting the commit that creates it,
 * nor the fence that a run makes in every table if it takes the lake over from a killed one.
 */
public class HaltingLogStore extends HDFSLogStore {
    // Metadata of a commit, JSON within JSON.
    private static final String FENCE = "\\\"job\\\": \\\"fence\\\"";
    private static int commits = 0;

    private final String moment;
    private final String table;
    private final int count;

    public HaltingLogStore(Configuration configuration) {
        super(configuration);
        String[] halt = configuration.get("cymbal.fault.halt", "never:none:0").split(":");
        this.moment = halt[0];
        this.table = halt[1];
        this.count = Integer.parseInt(halt[2]);
    }

    public void write(Path path, Iterator actions, Boolean overwrite, Configuration configuration) throws IOException {
        List lines = new ArrayList();
        boolean isFence = false;
        while (actions.hasNext()) {
            Object line = actions.next();
            lines.add(line);
            isFence = isFence || line.toString().contains(FENCE);
        }
        boolean isMet = isCommit(path) && !isFence && ++commits == count;
        if (isMet && "before".equals(moment)) {
            halt();
        }
        super.write(path, lines.iterator(), overwrite, configuration);
        if (isMet && "after".equals(moment)) {
            halt();
        }
    }

    private boolean isCommit(Path path) {
        String name = path.getName();
        return path.toUri().getPath().contains("/" + table + "/_delta_log/")
            && name.matches("[0-9]+\\.json") && Long.parseLong(name.substring(0, name.indexOf('.'))) > 0;
    }

    /** Kills the job's Python together with its JVM: a killed driver must not report anything. */
    private static void halt() {
        String kill = "kill -KILL $PPID $(cat /proc/$PPID/task/*/children)";
        try {
            new ProcessBuilder(new String[] {"sh", "-c", kill}).inheritIO().start().waitFor();
        } catch (Exception error) {
            Runtime.getRuntime().halt(137);
        }
    }
}
