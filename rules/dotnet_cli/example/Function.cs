using Amazon.Lambda.Core;
using Amazon.Lambda.Serialization.SystemTextJson;

[assembly: LambdaSerializer(typeof(DefaultLambdaJsonSerializer))]

namespace Example;

public record Greeting(string Text);

public class Function
{
    public Greeting Handle(Dictionary<string, string> visitor, ILambdaContext context) => new($"Hello, {visitor["name"]}!");
}
