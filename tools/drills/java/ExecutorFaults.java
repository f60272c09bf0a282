package cymbal.drill;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.spark.TaskContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.apache.spark.util.TaskCompletionListener;

/**
 * Harms an executor at the start of a task if a rule in spark.cymbal.fault.rules matches the task.
 *
 * <p>A rule has five fields, separated by bars: a regular expression for the Spark job's description, the number of
 * tasks of the stage (0: any), the partitions (comma-separated, empty: all), the number of attempts to harm, and the
 * action. Two semicolons separate rules. The code has no generics, because Spark's compiler does not support them.
 */
public class ExecutorFaults implements SparkPlugin {
    public DriverPlugin driverPlugin() {
        return null;
    }

    public ExecutorPlugin executorPlugin() {
        return new FaultyExecutor();
    }
}

class FaultyExecutor implements ExecutorPlugin {
    /** A rule with fewer attempts than this harms only the first attempt of a stage. */
    private static final int ALWAYS = 100;

    private static final List HOARD = new ArrayList();

    private String[] rules = new String[0];

    public void init(PluginContext context, Map extraConf) {
        rules = context.conf().get("spark.cymbal.fault.rules", "").split(";;");
    }

    public void onTaskStart() {
        TaskContext task = TaskContext.get();
        String job = task.getLocalProperty("spark.job.description");
        for (int i = 0; i < rules.length; i++) {
            String[] rule = rules[i].split("\\|", 5);
            if (rule.length == 5 && job != null && isMet(rule, job, task)) {
                act(rule[4], task);
            }
        }
    }

    private static boolean isMet(String[] rule, String job, TaskContext task) {
        int size = Integer.parseInt(rule[1]);
        int attempts = Integer.parseInt(rule[3]);
        boolean isHere = rule[2].isEmpty()
            || Arrays.asList(rule[2].split(",")).contains(String.valueOf(task.partitionId()));
        boolean isNow = task.attemptNumber() < attempts && (attempts >= ALWAYS || task.stageAttemptNumber() == 0);
        return job.matches(rule[0]) && (size == 0 || size == task.numPartitions()) && isHere && isNow;
    }

    private static void act(String action, TaskContext task) {
        if ("raise".equals(action)) {
            task.addTaskCompletionListener(new Raising());
        } else if ("hoard".equals(action)) {
            hoard();
        } else {
            shell(action);
        }
    }

    /** Takes and keeps all memory, so that the next allocation in this executor fails. */
    private static void hoard() {
        try {
            while (true) {
                HOARD.add(new byte[1 << 20]);
            }
        } catch (OutOfMemoryError full) {
            return;
        }
    }

    /** Lets a shell send signals or fill a disk: $PPID is this executor, and its parent is the worker. */
    private static void shell(String command) {
        try {
            new ProcessBuilder(new String[] {"sh", "-c", command}).inheritIO().start().waitFor();
        } catch (Exception error) {
            throw new IllegalStateException("drill: " + command, error);
        }
    }
}

class Raising implements TaskCompletionListener {
    public void onTaskCompletion(TaskContext task) {
        throw new IllegalStateException("drill: this attempt fails on purpose");
    }
}
