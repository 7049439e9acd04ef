// Inspects pictures (binary PPM or PGM):  Host.exe BUNDLE.irf PICTURE.ppm ...
// A bundle whose name does not end in .irf is the socket of `edgeirf serve`.
// Exit code: 0 all parts passed, 1 a part was rejected, 2 an error.
using System;
using System.Globalization;
using System.IO;
using EdgeIrf;

static class Host
{
    static int Main(string[] arguments)
    {
        CultureInfo.DefaultThreadCurrentCulture = System.Threading.Thread.CurrentThread.CurrentCulture = CultureInfo.InvariantCulture;
        if (arguments.Length < 2) { Console.Error.WriteLine("usage: Host.exe BUNDLE.irf PICTURE.ppm ..."); return 2; }
        var worst = 0;
        try
        {
            using (var line = arguments[0].EndsWith(".irf") ? Line.Load(arguments[0]) : Line.Connect(arguments[0]))
                for (var i = 1; i < arguments.Length; ++i) worst = Math.Max(worst, Inspect(line, arguments[i]));
        }
        catch (EdgeirfException error) { Console.Error.WriteLine(error.Message); return 2; }
        return worst;
    }

    static int Inspect(Line line, string path)
    {
        try
        {
            int width, height;
            PixelFormat format;
            var pixels = ReadPicture(path, out width, out height, out format);
            var regions = new Region[16];
            var verdict = line.Inspect(pixels, width, height, format, regions);
            Console.Write("{0}: {1}, score {2:G6}, p-value {3:G6}", path, verdict.Reject ? "REJECT" : "good", verdict.Score, verdict.PValue);
            for (var k = 0; k < Math.Min(verdict.RegionCount, regions.Length); ++k)
                Console.Write(", {0}x{1} at {2},{3}", regions[k].Width, regions[k].Height, regions[k].X, regions[k].Y);
            Console.WriteLine();
            return verdict.Reject ? 1 : 0;
        }
        catch (Exception error) when (error is EdgeirfException || error is IOException || error is FormatException)
        {
            Console.WriteLine("{0}: REJECT, {1}", path, error.Message);
            return 2;
        }
    }

    static byte[] ReadPicture(string path, out int width, out int height, out PixelFormat format)
    {
        using (var file = new BinaryReader(File.OpenRead(path)))
        {
            var kind = Word(file);
            width = int.Parse(Word(file));
            height = int.Parse(Word(file));
            if ((kind != "P5" && kind != "P6") || Word(file) != "255" || width < 1 || height < 1 || width > 65535 || height > 65535)
                throw new FormatException("not a binary PPM or PGM picture of 8 bits");
            format = kind == "P5" ? PixelFormat.Gray8 : PixelFormat.Rgb8;
            return file.ReadBytes(width * height * (kind == "P5" ? 1 : 3));
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
