// Inspects each new raw frame of a folder: a camera program writes part-17.rgb, this program prints the verdict.
//     edgeirf capi src && mcs Watch.cs src/Edgeirf.cs && mono Watch.exe BUNDLE.irf FOLDER WIDTH HEIGHT
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using EdgeIrf;

static class Watch
{
    static int Main(string[] arguments)
    {
        if (arguments.Length < 4) { Console.Error.WriteLine("usage: Watch.exe BUNDLE.irf FOLDER WIDTH HEIGHT [PARTS]"); return 2; }
        int width = int.Parse(arguments[2]), height = int.Parse(arguments[3]);
        var left = arguments.Length > 4 ? int.Parse(arguments[4]) : int.MaxValue;
        var seen = new HashSet<string>();
        try
        {
            using (var line = Line.Load(arguments[0]))
                for (; left > 0; Thread.Sleep(5))
                    foreach (var path in Directory.GetFiles(arguments[1], "*.rgb"))
                        if (left > 0 && seen.Add(path)) { Print(line, path, width, height); --left; }
        }
        catch (Exception error) when (error is EdgeirfException || error is IOException) { Console.Error.WriteLine(error.Message); return 2; }
        return 0;
    }

    static void Print(Line line, string path, int width, int height)
    {
        var said = "REJECT"; // what could not be inspected is not good
        try { said = line.Inspect(File.ReadAllBytes(path), width, height, PixelFormat.Rgb8).Reject ? "REJECT" : "good"; }
        catch (EdgeirfException error) { said += ", " + error.Message; }
        Console.WriteLine("{0}: {1}", Path.GetFileName(path), said);
    }
}
