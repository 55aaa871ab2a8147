import io.spiffe.exception.JwtSvidException;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.X509Context;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;

/** A workload that uses java-spiffe: prints a line of JSON with all that it gets, then one for every X.509 update. */
public final class Workload {
  public static void main(String[] arguments) throws Exception {
    var audience = arguments[0];
    try (var client = DefaultWorkloadApiClient.newClient()) {
      var context = client.fetchX509Context();
      for (X509Svid svid : context.getX509Svids()) {
        X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
      }
      var jwtBundles = client.fetchJwtBundles();
      var authorities = client.fetchX509Bundles().getBundles().values().stream()
          .map(bundle -> {
            var jwtBundle = jwtBundles.getBundles().get(bundle.getTrustDomain());
            var keys = jwtBundle == null ? 0 : jwtBundle.getJwtAuthorities().size();
            return "\"%s\":[%d,%d]".formatted(bundle.getTrustDomain(), bundle.getX509Authorities().size(), keys);
          })
          .collect(Collectors.joining(","));
      var token = client.fetchJwtSvid(audience).getToken();
      var byAgent = client.validateJwtSvid(token, audience).getSpiffeId();
      var bySelf = JwtSvid.parseAndValidate(token, jwtBundles, Set.of(audience)).getSpiffeId();
      print("\"identities\":[%s],\"authorities\":{%s},\"agent\":\"%s\",\"self\":\"%s\",\"isRefused\":%b".formatted(
          context.getX509Svids().stream()
              .map(svid -> "{\"id\":\"%s\",\"hint\":\"%s\"}".formatted(svid.getSpiffeId(), svid.getHint()))
              .collect(Collectors.joining(",")),
          authorities, byAgent, bySelf, isRefused(() -> client.validateJwtSvid(token, "somebody-else"))));
      client.watchX509Context(new Printer());
      new CountDownLatch(1).await();
    }
  }

  private interface Validation {
    Object run() throws JwtSvidException;
  }

  private static boolean isRefused(Validation validation) {
    try {
      validation.run();
      return false;
    } catch (JwtSvidException refusal) {
      return true;
    }
  }

  private static final class Printer implements Watcher<X509Context> {
    @Override
    public void onUpdate(X509Context update) {
      try {
        var certificate = update.getDefaultSvid().getLeaf().getEncoded();
        print("\"certificate\":\"%s\"".formatted(HexFormat.of().formatHex(certificate)));
      } catch (java.security.cert.CertificateEncodingException impossible) {
        throw new IllegalStateException(impossible);
      }
    }

    @Override
    public void onError(Throwable error) {
      print("\"error\":\"%s\"".formatted(error.getClass().getSimpleName()));
    }
  }

  private static synchronized void print(String members) {
    System.out.println("{" + members + "}");
  }
}
