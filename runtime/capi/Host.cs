// Inspects pictures:  Host.exe [--product NAME] BUNDLE PICTURE ...
// BUNDLE: .irf, a bare graph .onnx, or the socket of `edgeirf serve`. PICTURE: binary PPM or PGM, or a camera's bytes with
// format and size in its name: part.nv12:1280x1024. Exit code: 0 all parts passed, 1 a part was rejected, 2 an error.
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using EdgeIrf;

static class Host
{
    static int Main(string[] arguments)
    {
        CultureInfo.DefaultThreadCurrentCulture = System.Threading.Thread.CurrentThread.CurrentCulture = CultureInfo.InvariantCulture;
        string product = null;
        if (arguments.Length > 1 && arguments[0] == "--product") { product = arguments[1]; arguments = arguments.Skip(2).ToArray(); }
        if (arguments.Length < 2) { Console.Error.WriteLine("usage: Host.exe [--product NAME] BUNDLE PICTURE ..."); return 2; }
        var file = arguments[0].EndsWith(".irf") || arguments[0].EndsWith(".onnx");
        try
        {
            using (var line = file ? Line.Load(arguments[0], product: product) : Line.Connect(arguments[0]))
                return arguments.Skip(1).Select(picture => Inspect(line, picture)).ToList().Max();
        }
        catch (EdgeirfException error) { Console.Error.WriteLine(error.Message); return 2; }
    }

    static int Inspect(Line line, string name)
    {
        try
        {
            int width, height;
            PixelFormat format;
            var pixels = ReadPicture(name, out width, out height, out format);
            var regions = new Region[16];
            var verdict = line.Inspect(pixels, width, height, format, regions);
            Console.Write("{0}: {1}, score {2:G9}, p-value {3:G6}", name, verdict.Reject ? "REJECT" : "good", verdict.Score, verdict.PValue);
            foreach (var region in regions.Take(verdict.RegionCount))
                Console.Write(", {0}x{1} at {2},{3}", region.Width, region.Height, region.X, region.Y);
            Console.WriteLine();
            return verdict.Reject ? 1 : 0;
        }
        catch (Exception error) when (error is EdgeirfException || error is IOException || error is FormatException)
        {
            Console.WriteLine("{0}: REJECT, {1}", name, error.Message);
            return 2;
        }
    }

    static byte[] ReadPicture(string name, out int width, out int height, out PixelFormat format)
    {
        var raw = Regex.Match(name, @"^(.*\.(\w+)):(\d{1,5})x(\d{1,5})$");
        using (var file = new BinaryReader(File.OpenRead(raw.Success ? raw.Groups[1].Value : name)))
        {
            var kind = raw.Success ? raw.Groups[2].Value.Replace("_", "") : Word(file);
            width = int.Parse(raw.Success ? raw.Groups[3].Value : Word(file));
            height = int.Parse(raw.Success ? raw.Groups[4].Value : Word(file));
            if (!raw.Success && ((kind != "P5" && kind != "P6") || Word(file) != "255")) throw new FormatException("not a binary PPM or PGM picture of 8 bits");
            if (!raw.Success) kind = kind == "P5" ? "gray8" : "rgb8";
            if (!Enum.TryParse(kind, true, out format)) throw new FormatException("no pixel format is called " + kind);
            return file.ReadBytes((int)(file.BaseStream.Length - file.BaseStream.Position));
        }
    }

    static string Word(BinaryReader file)
    {
        var word = "";
        for (var c = file.ReadChar(); !char.IsWhiteSpace(c); c = file.ReadChar())
            if (word.Length < 16) word += c;
        return word;
    }
}
