import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** A namenode and a datanode on loopback, for tests. Arguments: a folder, and the port of the namenode's HTTP server. */
public final class HdfsCluster {
    public static void main(String[] arguments) throws Exception {
        MiniDFSCluster cluster =
                new MiniDFSCluster.Builder(new Configuration(), new File(arguments[0]))
                        .nameNodeHttpPort(Integer.parseInt(arguments[1]))
                        .build();
        cluster.waitActive();
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
