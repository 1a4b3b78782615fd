package shop;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

/** The value added tax in a price. */
public class Taxes implements RequestHandler<Map<String, Integer>, Map<String, Integer>> {
  @Override
  public Map<String, Integer> handleRequest(Map<String, Integer> event, Context context) {
    int gross = event.get("cents");
    int percent = event.get("percent");
    return Map.of("tax", Math.round(gross - gross * 100f / (100 + percent)));
  }
}
